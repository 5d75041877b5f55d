// SPDX-License-Identifier: Apache-2.0
#include "search/agents.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <variant>

#include "agent/books.h"
#include "agent/open.h"
#include "agent/team.h"
#include "agent/texts.h"
#include "base/file.h"
#include "base/log.h"
#include "report/table.h"
#include "search/budget.h"
#include "search/opened_run.h"
#include "search/param_tuner.h"
#include "search/workbench.h"

namespace kernelwright::search {
namespace {

using nlohmann::json;

namespace fs = std::filesystem;

constexpr double kTuning = 0.2;  // part of the agents' time that the params get

// The models of a run, their books and what their tokens cost.
struct Models {
  std::shared_ptr<agent::Books> books;
  std::vector<std::string> names;
  std::vector<std::shared_ptr<agent::Provider>> providers;
  agent::PriceTable prices;

  double price(const std::string& model, const agent::Reply& reply) const {
    const auto found = prices.find(model);
    return found ? static_cast<double>(found->of(reply.usage)) / agent::kPicodollarsPerUsd : 0;
  }
};

// Without a transcript nothing is kept: to see whether all is there.
Result<Models> open_models(const AgentOptions& options, const fs::path& transcript) {
  Models models;
  KW_TRY(models.prices, agent::prices_from_environment());
  agent::BooksOptions books;
  books.transcript = transcript;
  books.prices = models.prices;
  books.max_cost_usd = options.max_cost_usd;
  if (!options.replay.empty()) {
    books.replay = options.replay / kTranscriptFile;
    std::error_code code;
    if (!fs::exists(books.replay, code))
      return fail(ErrorKind::kInput, fmt::format("{} holds no conversations to replay: {} is "
                                                 "not there",
                                                 options.replay.string(), kTranscriptFile));
  }
  KW_TRY(models.books, agent::Books::open(std::move(books)));
  KW_TRY(const auto settings, agent::ProviderSettings::from_environment());
  models.names = options.models;
  if (models.names.empty() && models.books->offline())
    models.names = models.books->replayed_models();
  for (const auto& name : models.names) {
    KW_TRY(const auto spec, agent::parse_model_spec(name));
    KW_TRY(auto provider, agent::open_provider(spec, settings, models.books));
    models.providers.push_back(std::move(provider));
  }
  if (models.providers.empty())
    return fail(ErrorKind::kInput, "the transcript to replay holds no reply of any model");
  return models;
}

// A finished run that goes on has its transcript in the artifact.
fs::path transcript_of(const OpenedRun& run) {
  const fs::path path = run.folder() / kTranscriptFile;
  std::error_code code;
  if (run.options().resume && !fs::exists(path, code))
    fs::copy_file(run.out() / kTranscriptFile, path, code);
  return path;
}

// A message as --show-prompts prints it.
std::string shown(const agent::Message& message) {
  std::string out = fmt::format("--- {}\n", message.role == agent::Role::kUser ? "user" : "model");
  for (const auto& block : message.blocks) {
    if (const auto* text = std::get_if<agent::TextBlock>(&block)) {
      out += text->text + "\n";
    } else if (const auto* call = std::get_if<agent::ToolCall>(&block)) {
      out += fmt::format("[calls {} {}]\n", call->name, call->arguments);
    } else if (const auto* result = std::get_if<agent::ToolResult>(&block)) {
      out += fmt::format("[answer{}] {}\n", result->error ? ", an error" : "", result->text);
    } else {
      out += "[image or sealed reasoning]\n";
    }
  }
  return out;
}

// What is new in a request, in full.
class PromptPrinter {
 public:
  void operator()(const agent::Request& request, const std::string& model, size_t first_new) {
    std::string out = fmt::format("=== {} to {}\n", request.conversation, model);
    if (first_new == 0) {
      for (const auto& block : request.system) out += "--- system\n" + block.text + "\n";
      for (const auto& tool : request.tools)
        out += fmt::format("--- tool {}: {}\n{}\n", tool.name, tool.description, tool.schema);
    }
    for (size_t i = first_new; i < request.messages.size(); ++i) out += shown(request.messages[i]);
    const std::lock_guard lock(mutex_);
    base::end_progress();
    std::fputs(out.c_str(), stderr);
  }

 private:
  std::mutex mutex_;
};

// `next` goes on where `all` ended.
void append(RegionSearchResult& all, RegionSearchResult next, double offset_s) {
  for (auto& point : next.curve) {
    if (!all.curve.empty() && all.curve.back().program == point.program) continue;
    point.elapsed_s += offset_s;
    all.curve.push_back(std::move(point));
  }
  next.curve = std::move(all.curve);
  next.predicted_measured.insert(next.predicted_measured.begin(), all.predicted_measured.begin(),
                                 all.predicted_measured.end());
  next.learned.insert(next.learned.begin(), all.learned.begin(), all.learned.end());
  next.taken_over.insert(next.taken_over.begin(), all.taken_over.begin(), all.taken_over.end());
  next.elapsed_s += offset_s;
  next.stop_reason = all.stop_reason;
  all = std::move(next);
}

class RunAgents : public Agents {
 public:
  RunAgents(const AgentOptions& options, OpenedRun& run, Models models)
      : options_(options),
        run_(run),
        models_(std::move(models)),
        bench_(run),
        meter_([this](const std::string& model, const agent::Reply& reply) {
          return models_.price(model, reply);
        }) {}

  Status work(OpenedRegion& region, double budget_s, double share) override {
    auto& found = region.result.search;
    const Budget budget(budget_s);
    KW_TRY(const auto unused, region.contest->take_up());
    (void)unused;
    agent::TeamOptions team;
    team.models = models_.providers;
    team.hints = options_.hints;
    if (const auto* playbook = agent::find_text("playbook/" + bench_.facts().target))
      team.playbook = *playbook;
    team.budget_s = budget_s * (1 - kTuning);
    set_bounds(team, share);
    team.stop = [this] { return told_to_stop(); };
    if (options_.show_prompts)
      team.on_prompt = [this](const agent::Request& request, const std::string& model,
                              size_t first_new) { printer_(request, model, first_new); };
    team.on_progress = [&](int working) { tell(region, budget, working); };
    KW_TRY(auto result, agent::work_on(bench_, facts_of(region), meter_, team));
    stops_.push_back(region.result.region.id + ": " + result.stop_reason);
    for (const auto& log : result.conversations) conversations_.push_back(agent::to_json(log));
    if (result.error) KW_CHECK_OK(take_error(*result.error, region));
    for (const auto& find : result.finds)
      found.curve.push_back(
          {found.elapsed_s + find.at_s, find.ms, find.program, find.proposal.idea});
    found.stop_reason =
        (found.stop_reason.empty() ? "" : found.stop_reason + "; agents: ") + result.stop_reason;
    return tune(region, budget);
  }

  Status close() override {
    std::string lines;
    for (const auto& one : conversations_)
      lines += one.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    if (!lines.empty())
      KW_CHECK_OK(base::write_file_atomic(run_.folder() / "conversations.jsonl", lines));
    json summary = agent::to_json(reading());
    summary["models"] = models_.names;
    summary["stopped"] = stops_;
    summary["error"] = error_;
    summary["replay"] = options_.replay.string();
    run_.tell_agents(summary.dump(-1, ' ', false, json::error_handler_t::replace));
    return {};
  }

 private:
  bool told_to_stop() const {
    return interrupted() || (run_.options().stop && run_.options().stop());
  }

  // Money by the books: also what failed attempts and earlier processes of this run may have cost.
  agent::Meter::Reading reading() const {
    auto now = meter_.read();
    now.cost_usd = models_.books->costs().usd();
    return now;
  }

  const agent::RegionFacts& facts_of(const OpenedRegion& region) const {
    const auto& all = bench_.facts().regions;
    return *std::find_if(all.begin(), all.end(), [&](const auto& facts) {
      return facts.region.id == region.result.region.id;
    });
  }

  // What is left, times the region's share, on top of what the meter shows.
  void set_bounds(agent::TeamOptions& team, double share) const {
    const auto spent = reading();
    if (options_.max_tokens > 0) {
      const auto left = static_cast<double>(options_.max_tokens - spent.tokens());
      team.max_tokens = spent.tokens() + static_cast<int64_t>(std::max(left, 0.0) * share);
    }
    if (options_.max_cost_usd > 0)
      team.max_cost_usd =
          meter_.read().cost_usd + std::max(options_.max_cost_usd - spent.cost_usd, 0.0) * share;
  }

  void tell(const OpenedRegion& region, const Budget& budget, int working) const {
    const auto& best = region.contest->best();
    base::progress(
        "agents",
        fmt::format("{}: {} conversations, {}, {} tried, best {}, {} left", region.result.region.id,
                    working, agent::meter_text(reading()), region.contest->tried(),
                    best ? report::ms_text(best->ms) : "none yet", duration_text(budget.left())));
  }

  // When no model ever answered and nothing is right, the run ends with its word; what was paid for
  // is never thrown away.
  Status take_error(const Error& error, const OpenedRegion& region) {
    error_ = error.text();
    if (!region.contest->best() && meter_.read().replies == 0 && !told_to_stop())
      return fail(error);
    base::warn(fmt::format("the agents stopped: {}", error_));
    return {};
  }

  // The params that their best program leaves open, and the region's result as it stands.
  Status tune(OpenedRegion& region, const Budget& budget) {
    const auto& best = region.contest->best();
    program::Proposal base;
    double seconds = 0;
    if (best && best->proposal.proposer == "llm" && !told_to_stop()) {
      base = best->proposal;
      seconds = best->ms / 1e3;
    }
    ParamTuner tuner(std::move(base), seconds, facts_of(region).interface);
    SearchPace pace;
    pace.budget_s = std::max(budget.left(), 0.0);
    pace.speed_of_light_s = region.result.speed_of_light_s;
    pace.stop = run_.options().stop;
    const auto on_verdict = [&](const RegionSearchResult&, const Budget& left) {
      tell(region, left, 0);
    };
    const double offset_s = region.result.search.elapsed_s + budget.elapsed();
    KW_TRY(auto next, search_region(tuner, *region.contest, {}, pace, on_verdict));
    append(region.result.search, std::move(next), offset_s);
    return {};
  }

  const AgentOptions options_;
  OpenedRun& run_;
  Models models_;
  RunWorkbench bench_;
  agent::Meter meter_;
  PromptPrinter printer_;
  std::vector<json> conversations_;
  std::vector<std::string> stops_;
  std::string error_;
};

}  // namespace

Status Agents::check(const AgentOptions& options) {
  KW_TRY(const Models unused, open_models(options, ""));
  (void)unused;
  return {};
}

Result<std::unique_ptr<Agents>> Agents::open(const AgentOptions& options, OpenedRun& run) {
  KW_TRY(Models models, open_models(options, transcript_of(run)));
  return std::unique_ptr<Agents>(std::make_unique<RunAgents>(options, run, std::move(models)));
}

}  // namespace kernelwright::search

// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/judging.h"
#include "report/html.h"
#include "report/table.h"
#include "search/run.h"

namespace kernelwright::cli {
namespace {

constexpr size_t kHintBytes = 32 << 10;

}  // namespace

Status set_proposers(const SearchOptions& options, const std::string& replay, bool show_prompts,
                     search::RunOptions& run) {
  const auto asked = [&](const char* name) {
    return std::find(options.proposers.begin(), options.proposers.end(), name) !=
           options.proposers.end();
  };
  run.with_expert = asked("expert");
  if (!asked("llm")) {
    if (!options.hints.empty() || !replay.empty() || show_prompts)
      return fail(ErrorKind::kUsage,
                  "--hint, --replay and --show-prompts belong to the llm proposer: add --proposer "
                  "llm, or expert,llm");
    // A model may stand in the settings for other runs.
    if (!options.models.empty())
      base::warn("no model is asked: the llm proposer is off (--proposer llm, or expert,llm)");
    return {};
  }
  if (options.models.empty() && replay.empty())
    return fail(ErrorKind::kUsage,
                "--proposer llm needs a model: --model anthropic:NAME, openai:NAME or URL#NAME");
  search::AgentOptions agents;
  agents.models = options.models;
  agents.max_cost_usd = options.max_cost_usd;
  agents.max_tokens = options.max_tokens;
  agents.replay = replay;
  agents.show_prompts = show_prompts;
  for (const auto& hint : options.hints) {
    std::string text = hint;
    if (hint.starts_with("@")) {
      KW_TRY(text, base::read_file(hint.substr(1), kHintBytes));
    }
    if (text.size() > kHintBytes)
      return fail(ErrorKind::kUsage,
                  fmt::format("--hint: {} bytes; at most {} are taken", text.size(), kHintBytes));
    agents.hints.push_back(std::move(text));
  }
  run.agents = std::move(agents);
  return {};
}

int cmd_optimize(const OptimizeOptions& options, const GlobalOptions& global) {
  search::install_interrupt_handler();
  search::RunOptions run;
  if (auto ok = set_proposers(options.search, options.replay, options.show_prompts, run); !ok)
    return report_error(ok.error(), global);
  run.spec = workload_spec(options.workload, options.judge);
  run.threads = options.judge.threads;
  run.budget_s = options.search.budget_s;
  run.seed = options.judge.seed;
  run.out = options.out;
  run.resume = options.resume;
  run.command = fmt::format("optimize {} --budget {:.0f}s", options.workload.workload,
                            options.search.budget_s);
  const auto result = search::optimize(run);
  if (!result) {
    if (search::interrupted()) {
      (void)report_error({ErrorKind::kInterrupted,
                          "interrupted before a program was accepted: " + result.error().message,
                          {}},
                         global);
      return base::exit_code(ErrorKind::kInterrupted);
    }
    return report_error(result.error(), global);
  }
  const auto text = base::read_file(std::filesystem::path(result->artifact) / "result.json");
  if (!text) return report_error(text.error(), global);
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (global.json) {
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print("{}", report::result_table(json));
  }
  std::fflush(stdout);
  return result->interrupted ? base::exit_code(ErrorKind::kInterrupted) : 0;
}

int cmd_report(const ReportOptions& options, const GlobalOptions& global) {
  const auto path = report::write_report(options.run_dir);
  if (!path) return report_error(path.error(), global);
  if (global.json)
    fmt::print("{}\n", nlohmann::json{{"report", path->string()}}.dump());
  else
    fmt::print("{}\n", path->string());
  return 0;
}

}  // namespace kernelwright::cli

// SPDX-License-Identifier: Apache-2.0
#include "search/run.h"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "archive/archive.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "expert/expert.h"
#include "graph/analysis.h"
#include "graph/import.h"
#include "kernelwright/runtime.h"
#include "report/html.h"
#include "report/table.h"
#include "search/artifact.h"
#include "search/final_check.h"
#include "search/resume.h"

namespace kernelwright::search {
namespace {

namespace fs = std::filesystem;

constexpr int kPromotionTries = 3;

graph::DType compute_dtype(const graph::StageGraph& stages) {
  for (const auto& tensor : stages.tensors)
    if (tensor.type.dtype == graph::DType::kF64) return graph::DType::kF64;
  return graph::DType::kF32;
}

std::string region_ops(const graph::Graph& graph, const graph::Region& region) {
  std::set<std::string> names;
  for (int node : region.nodes) names.insert(graph.nodes.at(static_cast<size_t>(node)).op);
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : " ") + name;
  return out;
}

// What a verdict of this region holds for: the lowered region with its shapes, the device, the
// policy, the threads.
std::string subject_id(const Session& session, const graph::StageGraph& stages) {
  return base::IdentityBuilder()
      .add(stages.text())
      .add(session.target->name())
      .add(session.model.identity)
      .add(target::policy_name(session.policy))
      .add(std::to_string(session.threads))
      .hex();
}

uint64_t unpredictable_seed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) ^ device();
}

// One region on its way: what it is, who judges it, what was found.
struct RegionRun {
  RegionResult result;
  graph::StageGraph stages;
  std::string subject;
  std::unique_ptr<referee::Referee> referee;
  referee::Baselines baselines;
  std::optional<referee::Prepared> winner;
};

class Run {
 public:
  Run(const RunOptions& options, ArtifactFolder folder, Session session, archive::Archive archive)
      : options_(options),
        folder_(std::move(folder)),
        session_(std::move(session)),
        archive_(std::move(archive)),
        start_(std::chrono::steady_clock::now()),
        seed_(options.seed ? options.seed : unpredictable_seed()) {}

  Result<RunResult> go() {
    KW_CHECK_OK(begin());
    KW_CHECK_OK(open_regions());
    KW_CHECK_OK(search_regions());
    KW_CHECK_OK(promote_regions());
    KW_CHECK_OK(write_artifact());
    return finish();
  }

  // Marks the run as failed in the archive; the folder goes with this object.
  void failed(const Error& error) {
    if (!id_.empty()) (void)archive_.finish_run(id_, "failed", error.json_text());
  }

 private:
  double elapsed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  Status begin() {
    id_ = fmt::format(
        "{}-{}", folder_.out().filename().string(),
        base::sha256_hex(folder_.out().string() + archive::utc_now() + std::to_string(getpid()))
            .substr(0, 8));
    result_.workload = short_name(session_.imported.name);
    result_.target = session_.target->name();
    result_.policy = target::policy_name(session_.policy);
    result_.device = session_.target->device_name();
    result_.threads = session_.threads;
    result_.versions = session_.torch->versions();
    result_.versions["compiler"] = session_.target->toolchain_version();
    result_.abi = kw_runtime_abi();
    result_.cpu_features = kw_cpu_features();
    result_.artifact = folder_.out().string();
    for (const auto& note : session_.imported.graph.eager_notes) result_.eager.push_back(note);
    for (const auto& left : session_.partition.eager)
      result_.eager.push_back(
          {session_.imported.graph.nodes.at(static_cast<size_t>(left.node)).op, left.reason});
    KW_CHECK_OK(check_resumed());
    KW_CHECK_OK(folder_.note_workload(result_.workload));
    KW_CHECK_OK(archive_.bury_runs(folder_.out().string()));
    return archive_.begin_run({id_, result_.workload, folder_.out().string(), options_.command,
                               "running", archive::utc_now(), ""});
  }

  // Another workload's artifact is not replaced, nor what a killed run of it has found.
  Status check_resumed() const {
    if (!options_.resume) return {};
    const auto found = folder_.workload();
    if (!found && !folder_.continues())
      base::note(fmt::format("{} holds no run: starting from what the archive knows",
                             folder_.out().string()));
    if (!found || *found == result_.workload) return {};
    return fail(ErrorKind::kUsage,
                fmt::format("{} holds a run of '{}', not of '{}': choose another --out",
                            folder_.out().string(), *found, result_.workload));
  }

  Status open_regions() {
    const auto& graph = session_.imported.graph;
    double light_s = 0, longest_s = 0;
    for (const auto& region : session_.partition.regions) {
      RegionRun run;
      run.result.region = region;
      KW_TRY(run.stages, graph::lower(graph, region));
      run.subject = subject_id(session_, run.stages);
      KW_CHECK_OK(
          archive_.record_subject({run.subject, result_.workload, region.id, result_.target,
                                   result_.device, result_.policy, region_ops(graph, region)}));
      const auto work = graph::count_work(run.stages);
      const auto dtype = compute_dtype(run.stages);
      const auto light =
          graph::speed_of_light(work, session_.model.ceilings(dtype, session_.policy));
      run.result.speed_of_light_s = light.seconds;
      run.result.bound = light.bound;
      if (light.seconds >= longest_s) {
        longest_s = light.seconds;
        result_.bound = light.bound;
      }
      light_s += light.seconds;

      base::progress("baseline", region.id);
      referee::RefereeOptions options;
      options.threads = session_.threads;
      options.seed = options_.seed;
      options.speed_of_light_s = session_.model.floor_seconds(work, dtype, session_.policy);
      KW_TRY(run.referee, referee::Referee::open(
                              {region.id, referee::interface_of(graph, region), session_.policy},
                              *session_.target, *session_.torch, options));
      KW_TRY(run.baselines, run.referee->baselines());
      KW_TRY(const auto unjudged, run.referee->get_ready());
      if (unjudged) {
        leave_in_eager(region, *unjudged);
        continue;
      }
      for (const auto& [name, ms] : run.baselines.ms)
        if (name == "eager") run.result.eager_ms = ms;
      base::note(fmt::format("  {}: {} ops, {}; fastest {} {}, speed of light {} ({}-bound)",
                             region.id, region.nodes.size(),
                             region.whole ? "the whole module" : "part of the module",
                             run.baselines.best_name, report::ms_text(run.baselines.best_ms),
                             report::ms_text(light.seconds * 1e3), light.bound));
      regions_.push_back(std::move(run));
    }
    result_.speed_of_light_ms = light_s * 1e3;
    return {};
  }

  void leave_in_eager(const graph::Region& region, const std::string& reason) {
    base::note(fmt::format("  {} stays in eager: {}", region.id, reason));
    result_.eager.push_back({region_ops(session_.imported.graph, region), reason});
    if (unjudged_.empty()) unjudged_ = fmt::format("{}: {}", region.id, reason);
  }

  // Budget goes by what a region can still give: its time minus its speed of light.
  std::vector<double> headrooms() const {
    std::vector<double> all;
    for (const auto& run : regions_)
      all.push_back(std::max(run.baselines.best_ms - run.result.speed_of_light_s * 1e3,
                             0.05 * run.baselines.best_ms) +
                    1e-6);
    return all;
  }

  Status search_regions() {
    const double begun = elapsed();
    SharedBudget shared(options_.budget_s, headrooms());
    for (auto& run : regions_) {
      if (interrupted()) break;
      expert::ExpertOptions expert_options;
      expert_options.policy = session_.policy;
      expert_options.threads = session_.threads;
      expert_options.seed = seed_;
      expert_options.target = session_.model.target;
      KW_TRY(auto expert, expert::make_expert(run.stages, session_.model, expert_options));
      RegionSearchOptions options;
      options.budget_s = shared.next();
      options.speed_of_light_s = run.result.speed_of_light_s;
      options.run = id_;
      options.subject = run.subject;
      options.best_dir = folder_.best() / run.result.region.id;
      std::vector<program::Proposal> first;
      if (options_.resume) {
        KW_TRY(options.earlier, recall(archive_, run.subject, 1 + kRunnersUp));
        first = take_up(run, options.earlier);
      }
      const auto on_verdict = [&](const RegionSearchResult& found, const Budget& budget) {
        base::progress(
            "search",
            fmt::format("{}: {} tried, best {}{}, {} left", run.result.region.id, found.tried,
                        found.best_ms > 0 ? report::ms_text(found.best_ms) : "none yet",
                        found.best_ms > 0
                            ? fmt::format(" ({} of the fastest baseline's {})",
                                          report::ratio_text(run.baselines.best_ms / found.best_ms),
                                          report::ms_text(run.baselines.best_ms))
                            : "",
                        duration_text(budget.left())));
      };
      KW_TRY(run.result.search,
             search_region(*expert, *run.referee, archive_, first, options, on_verdict));
      shared.spent(run.result.search.elapsed_s);
      if (!run.result.search.best && !interrupted())
        KW_CHECK_OK(fall_back_to_naive(run, expert_options, std::move(options)));
      for (const auto& [name, count] : run.result.search.verdicts) result_.verdicts[name] += count;
      result_.tried += run.result.search.tried;
    }
    result_.search_s = elapsed() - begun;
    return {};
  }

  // What to judge first: the folder's own program when the archive does not know it.
  std::vector<program::Proposal> take_up(const RegionRun& run, const Earlier& earlier) const {
    std::vector<program::Proposal> first;
    auto left = left_program(folder_.path(), folder_.out(), run.result.region.id);
    if (left && !earlier.outcomes.count(program::candidate_id(left->candidate)))
      first.push_back(std::move(*left));
    if (!earlier.outcomes.empty())
      base::note(fmt::format(
          "  {}: {} programs known from earlier{}", run.result.region.id, earlier.outcomes.size(),
          earlier.right.empty()
              ? std::string()
              : fmt::format(", the best {}", report::ms_text(earlier.right[0].ms))));
    return first;
  }

  // Every supported graph has a correct program: the naive loop nest, judged when nothing else was
  // right.
  Status fall_back_to_naive(RegionRun& run, const expert::ExpertOptions& expert_options,
                            RegionSearchOptions options) {
    options.earlier = {};
    struct Nobody : program::Proposer {
      std::string name() const override { return "expert"; }
      Result<std::vector<program::Proposal>> propose(int) override {
        return std::vector<program::Proposal>();
      }
      void learn(const program::Outcome&) override {}
    } nobody;
    program::Proposal proposal;
    KW_TRY(proposal.candidate, expert::naive_program(run.stages, expert_options));
    proposal.proposer = "expert";
    proposal.idea = "naive loop nests";
    KW_TRY(auto found, search_region(nobody, *run.referee, archive_, {proposal}, options, nullptr));
    for (const auto& [name, count] : run.result.search.verdicts) found.verdicts[name] += count;
    found.tried += run.result.search.tried;
    run.result.search = std::move(found);
    return {};
  }

  Status promote_regions() {
    for (auto& run : regions_) {
      auto& found = run.result.search;
      std::vector<referee::Prepared*> tries;
      if (found.best) tries.push_back(&*found.best);
      for (auto& other : found.runners_up) tries.push_back(&other);
      for (size_t i = 0; i < tries.size() && i < kPromotionTries && !run.result.accepted; ++i) {
        base::progress("promotion",
                       fmt::format("{} {}", run.result.region.id, tries[i]->id.substr(0, 12)));
        KW_TRY(referee::Verdict verdict, run.referee->promote(*tries[i]));
        KW_CHECK_OK(record_promotion(run, *tries[i], verdict));
        ++result_.verdicts[referee::verdict_name(verdict.kind)];
        run.result.accepted = verdict.kind == referee::VerdictKind::kAccepted;
        // A slower runner-up will not be faster than what the best could not beat.
        const bool hopeless = verdict.kind == referee::VerdictKind::kSlower;
        if (run.result.accepted) run.winner = *tries[i];
        run.result.program_id = tries[i]->id;
        run.result.promotion = std::move(verdict);
        if (hopeless) break;
      }
      if (run.winner)
        run.result.kernels = program::launched_kernels(run.winner->candidate.program.run);
    }
    return {};
  }

  Status record_promotion(RegionRun& run, const referee::Prepared& prepared,
                          const referee::Verdict& verdict) {
    program::Proposal proposal;
    KW_TRY(auto earlier, archive_.verdicts_of_program(prepared.id));
    if (!earlier.empty()) {
      proposal.proposer = earlier.back().proposer;
      proposal.idea = earlier.back().idea;
      proposal.parent = earlier.back().parent;
      proposal.predicted_s = earlier.back().predicted_s;
    }
    proposal.candidate = prepared.candidate;
    auto recorded = archive_.record(id_, run.subject, proposal, prepared.id, verdict);
    if (!recorded) return fail(recorded.error());
    return {};
  }

  // Writes the drop-in and lets the final check have the last word.
  Status write_artifact() {
    KW_TRY(torch::WorkloadSpec spec,
           copy_original(session_.spec, session_.imported.neighbours, folder_.path()));
    result_.spec_fields = spec_fields(spec, session_.spec);
    std::string programs;
    for (auto& run : regions_) {
      if (!run.winner) continue;
      KW_CHECK_OK(write_program(*run.winner, run.result.region.id, folder_.path()));
      programs += (programs.empty() ? "" : "+") + run.winner->id;
    }
    take_region_results();
    if (programs.empty()) {
      KW_CHECK_OK(keep_baseline(why_nothing_was_accepted()));
    } else {
      result_.status = "improved";
      KW_CHECK_OK(write_module(result_, session_.imported.graph, folder_.path()));
      FinalCheckOptions options;
      options.seed = unpredictable_seed();
      if (interrupted())
        options = {
            .timing_s = 2, .fresh_timing_s = 0.5, .with_compile = false, .seed = options.seed};
      KW_TRY(FinalCheck check, check_artifact(session_, folder_.path(), spec, options));
      KW_CHECK_OK(take_final_check(check, programs));
    }
    return {};
  }

  void take_region_results() {
    double covered = 0, whole = 0, library = 0;
    result_.regions.clear();
    for (auto& run : regions_) {
      whole += run.result.eager_ms;
      if (run.result.accepted) {
        covered += run.result.eager_ms * (1 - run.result.search.library_share);
        library += run.result.eager_ms * run.result.search.library_share;
      }
      result_.regions.push_back(run.result);
    }
    whole = std::max(whole, whole_eager_ms());
    result_.coverage = whole > 0 ? covered / whole : 0;
    result_.library_share = whole > 0 ? library / whole : 0;
  }

  double whole_eager_ms() {
    if (regions_.size() == 1 && regions_[0].result.region.whole) return regions_[0].result.eager_ms;
    if (!whole_eager_ms_) {
      auto times = session_.torch->time_baseline("whole", "eager", 7, flush_bytes(session_));
      whole_eager_ms_ = times && !times->ms.empty() ? times->ms[times->ms.size() / 2] : 0;
    }
    return *whole_eager_ms_;
  }

  std::string why_nothing_was_accepted() const {
    if (regions_.empty())
      return unjudged_.empty() ? "no region that kernelwright can compile" : unjudged_;
    for (const auto& run : regions_)
      if (run.result.promotion)
        return fmt::format("{}: {}", run.result.region.id, run.result.promotion->reason);
    return "no program proved right within the budget";
  }

  Status take_final_check(const FinalCheck& check, const std::string& programs) {
    result_.candidate_error = check.candidate_error;
    result_.eager_error = check.eager_error;
    if (!check.right)
      return keep_baseline("the final check did not accept the drop-in: " + check.reason);
    result_.baseline = check.baseline;
    result_.prepare_ms = check.prepare_ms;
    result_.others_share = check.others_share;
    result_.disturbed = check.disturbed();
    if (!check.faster())
      return keep_baseline(fmt::format(
          "the drop-in was not faster with confidence in the final check ({}, at least {})",
          report::ratio_text(check.best.speedup), report::ratio_text(check.best.speedup_low)));
    result_.best = check.best;
    result_.best->program = programs;
    result_.fresh = check.fresh;
    return {};
  }

  // The artifact then holds the original alone.
  Status keep_baseline(const std::string& reason) {
    result_.status = "baseline_kept";
    result_.reason = reason;
    result_.best.reset();
    result_.coverage = result_.library_share = 0;
    for (auto& region : result_.regions) region.accepted = false;
    std::error_code code;
    fs::remove_all(folder_.path() / "programs", code);
    if (result_.baseline.best_ms == 0) {
      for (const auto& run : regions_) {
        if (!run.result.region.whole) continue;
        result_.baseline.best_ms = run.baselines.best_ms;
        result_.baseline.best_name = run.baselines.best_name;
        result_.baseline.notes = run.baselines.notes;
        for (const auto& [name, ms] : run.baselines.ms) {
          if (name == "eager") result_.baseline.eager_ms = ms;
          if (name == "compile") result_.baseline.compile_ms = ms;
        }
        if (run.result.promotion) {
          result_.candidate_error = run.result.promotion->candidate_error;
          result_.eager_error = run.result.promotion->eager_error;
        }
      }
      if (result_.baseline.best_ms == 0) {
        result_.baseline.eager_ms = result_.baseline.best_ms = whole_eager_ms();
        result_.baseline.best_name = "eager";
      }
    }
    return {};
  }

  Result<RunResult> finish() {
    result_.interrupted = interrupted();
    result_.elapsed_s = elapsed();
    std::error_code code;
    fs::remove_all(folder_.best(), code);
    fs::remove(folder_.path() / "weights.safetensors", code);
    KW_CHECK_OK(write_module(result_, session_.imported.graph, folder_.path()));
    KW_CHECK_OK(write_verdicts());
    auto report = report::write_report(folder_.path());
    if (!report) return fail(report.error());
    KW_CHECK_OK(archive_.finish_run(id_, result_.interrupted ? "interrupted" : result_.status,
                                    run_result_json(result_, session_.imported.graph).dump()));
    KW_CHECK_OK(folder_.publish());
    base::end_progress();
    return std::move(result_);
  }

  Status write_verdicts() {
    KW_TRY(auto verdicts, archive_.verdicts_of_run(id_));
    // Verdicts that a resumed run counts are its own, whoever gave them.
    std::map<int64_t, archive::VerdictRecord> all;
    for (auto& record : verdicts) all[record.id] = std::move(record);
    for (const auto& run : regions_) {
      if (!options_.resume) break;
      KW_TRY(auto earlier, archive_.verdicts_of_subject(run.subject));
      for (auto& record : earlier) all[record.id] = std::move(record);
    }
    std::string lines;
    for (const auto& [number, record] : all) {
      nlohmann::json line = {
          {"program", record.program},   {"region", record.region},
          {"proposer", record.proposer}, {"idea", record.idea},
          {"parent", record.parent},     {"predicted_s", record.predicted_s},
          {"created", record.created},   {"verdict", referee::verdict_json(record.verdict)}};
      lines += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    return base::write_file_atomic(folder_.path() / "verdicts.jsonl", lines);
  }

  const RunOptions& options_;
  ArtifactFolder folder_;
  Session session_;
  archive::Archive archive_;
  std::chrono::steady_clock::time_point start_;
  uint64_t seed_;
  std::string id_;
  RunResult result_;
  std::vector<RegionRun> regions_;
  std::string unjudged_;  // why the first region that cannot be judged stays in eager
  std::optional<double> whole_eager_ms_;
};

fs::path default_out(const std::string& workload) {
  const std::time_t now = std::time(nullptr);
  const std::string stem =
      fmt::format("{}-{:%Y%m%d-%H%M%S}", short_name(workload), fmt::localtime(now));
  fs::path out = fs::path("runs") / stem;
  std::error_code code;
  for (int i = 2; fs::exists(out, code) || fs::exists(out.string() + ".partial", code); ++i)
    out = fs::path("runs") / fmt::format("{}-{}", stem, i);
  return out;
}

}  // namespace

std::string short_name(const std::string& workload) {
  std::string name = workload;
  if (const size_t slash = name.rfind('/'); slash != std::string::npos)
    name = name.substr(slash + 1);
  if (const size_t dot = name.rfind(".py"); dot != std::string::npos && dot > 0)
    name = name.substr(0, dot);
  std::string safe;
  for (char c : name)
    safe +=
        std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' ? c : '_';
  if (safe.empty() || safe[0] == '.') safe = "workload" + safe;
  return safe.substr(0, 80);
}

Result<RunResult> optimize(const RunOptions& options) {
  KW_TRY(ArtifactFolder folder,
         ArtifactFolder::create(options.out.empty() ? default_out(options.spec.path) : options.out,
                                options.resume));
  KW_TRY(Session session, Session::open({options.spec, options.threads, folder.path()}));
  KW_TRY(fs::path archive_path, archive::Archive::default_path());
  KW_TRY(archive::Archive archive, archive::Archive::open(archive_path));
  Run run(options, std::move(folder), std::move(session), std::move(archive));
  auto result = run.go();
  if (!result) run.failed(result.error());
  return result;
}

}  // namespace kernelwright::search

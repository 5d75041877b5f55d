// SPDX-License-Identifier: Apache-2.0
#include "search/opened_run.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "expert/expert.h"
#include "graph/analysis.h"
#include "graph/import.h"
#include "kernelwright/runtime.h"
#include "report/html.h"
#include "report/table.h"
#include "rewrite/rules.h"
#include "rewrite/structure.h"
#include "search/budget.h"
#include "search/lesson.h"

namespace kernelwright::search {
namespace {

namespace fs = std::filesystem;

constexpr int kPromotionTries = 3;

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

expert::ExpertOptions expert_options(const Session& session, uint64_t seed) {
  expert::ExpertOptions options;
  options.policy = session.policy;
  options.threads = session.threads;
  options.seed = seed;
  options.target = session.model.target;
  return options;
}

}  // namespace

OpenedRun::OpenedRun(RunOptions options, ArtifactFolder folder, Session session,
                     archive::Archive archive)
    : options_(std::move(options)),
      folder_(std::move(folder)),
      session_(std::move(session)),
      archive_(std::move(archive)),
      start_(std::chrono::steady_clock::now()),
      seed_(options_.seed ? options_.seed : unpredictable_seed()) {}

Result<std::unique_ptr<OpenedRun>> OpenedRun::open(const RunOptions& options) {
  KW_TRY(ArtifactFolder folder,
         ArtifactFolder::create(options.out.empty() ? default_out(options.spec.path) : options.out,
                                options.resume));
  KW_TRY(Session session, Session::open({options.spec, options.threads, folder.path()}));
  KW_TRY(fs::path archive_path, archive::Archive::default_path());
  KW_TRY(archive::Archive archive, archive::Archive::open(archive_path));
  std::unique_ptr<OpenedRun> run(
      new OpenedRun(options, std::move(folder), std::move(session), std::move(archive)));
  Status ready = run->begin();
  if (ready) ready = run->open_regions();
  if (!ready) {
    run->failed(ready.error());
    return fail(ready.error());
  }
  return run;
}

void OpenedRun::failed(const Error& error) {
  if (!id_.empty()) (void)archive_.finish_run(id_, "failed", error.json_text());
}

double OpenedRun::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

Status OpenedRun::go_on() const {
  if (options_.stop && options_.stop()) return fail(ErrorKind::kInterrupted, "stopped as asked");
  return {};
}

Status OpenedRun::begin() {
  id_ = fmt::format(
      "{}-{}", folder_.out().filename().string(),
      base::sha256_hex(folder_.out().string() + archive::utc_now() + std::to_string(getpid()))
          .substr(0, 8));
  begun_.workload = short_name(session_.imported.name);
  begun_.target = session_.target->name();
  begun_.policy = target::policy_name(session_.policy);
  begun_.device = session_.target->device_name();
  begun_.threads = session_.threads;
  begun_.versions = session_.torch->versions();
  begun_.versions["compiler"] = session_.target->toolchain_version();
  begun_.abi = kw_runtime_abi();
  begun_.cpu_features = kw_cpu_features();
  begun_.artifact = folder_.out().string();
  begun_.command = options_.command;
  begun_.started = archive::utc_now();
  begun_.machine_json = target::machine_model_json(session_.model);
  for (const auto& note : session_.imported.graph.eager_notes) begun_.eager.push_back(note);
  for (const auto& left : session_.partition.eager)
    begun_.eager.push_back(
        {session_.imported.graph.nodes.at(static_cast<size_t>(left.node)).op, left.reason});
  KW_CHECK_OK(check_resumed());
  KW_CHECK_OK(folder_.note_workload(begun_.workload));
  KW_CHECK_OK(archive_.bury_runs(folder_.out().string()));
  return archive_.begin_run({id_, begun_.workload, folder_.out().string(), options_.command,
                             "running", begun_.started, ""});
}

// Another workload's artifact is not replaced, nor what a killed run of it has found.
Status OpenedRun::check_resumed() const {
  if (!options_.resume) return {};
  const auto found = folder_.workload();
  if (!found && !folder_.continues())
    base::note(fmt::format("{} holds no run: starting from what the archive knows",
                           folder_.out().string()));
  if (!found || *found == begun_.workload) return {};
  return fail(ErrorKind::kUsage,
              fmt::format("{} holds a run of '{}', not of '{}': choose another --out",
                          folder_.out().string(), *found, begun_.workload));
}

Status OpenedRun::open_regions() {
  double longest_s = 0;
  for (const auto& region : session_.partition.regions) {
    KW_CHECK_OK(go_on());
    OpenedRegion run;
    run.result.region = region;
    KW_TRY(const auto unjudged, open_region(run));
    if (unjudged) {
      leave_in_eager(region, *unjudged);
      continue;
    }
    if (run.light.seconds >= longest_s) {
      longest_s = run.light.seconds;
      begun_.bound = run.light.bound;
    }
    begun_.speed_of_light_ms += run.light.seconds * 1e3;
    regions_.push_back(std::move(run));
  }
  return go_on();
}

void OpenedRun::leave_in_eager(const graph::Region& region, const std::string& reason) {
  base::note(fmt::format("  {} stays in eager: {}", region.id, reason));
  begun_.eager.push_back({region_ops(session_.imported.graph, region), reason});
  if (unjudged_.empty()) unjudged_ = fmt::format("{}: {}", region.id, reason);
}

Result<std::optional<std::string>> OpenedRun::open_region(OpenedRegion& run) {
  const auto& graph = session_.imported.graph;
  const auto& region = run.result.region;
  KW_TRY(run.stages, graph::lower(graph, region));
  run.subject = subject_id(session_, run.stages);
  run.ops = region_ops(graph, region);
  run.record = {run.subject,
                begun_.workload,
                region.id,
                begun_.target,
                begun_.device,
                begun_.policy,
                run.ops,
                rewrite::structure_of(run.stages),
                rewrite::extents_of(run.stages)};
  KW_CHECK_OK(archive_.record_subject(run.record));
  const auto dtype = graph::compute_dtype(run.stages.tensors);
  const auto ceilings = session_.model.ceilings(dtype, session_.policy);
  run.work = rewrite::least_work(run.stages, ceilings);
  run.light = graph::speed_of_light(run.work, ceilings);
  run.result.speed_of_light_s = run.light.seconds;
  run.result.bound = run.light.bound;
  run.result.work = run.work;
  run.result.ceilings = ceilings;

  base::progress("baseline", region.id);
  referee::RefereeOptions options;
  options.threads = session_.threads;
  options.seed = options_.seed;
  options.speed_of_light_s = session_.model.floor_seconds(run.work, dtype, session_.policy);
  // A promotion that is still open after twice the search's time stays so: a quick run stays quick.
  options.promotion_time_s = std::clamp(2 * options_.budget_s, 4.0, options.promotion_time_s);
  KW_TRY(run.referee,
         referee::Referee::open({region.id, referee::interface_of(graph, region), session_.policy},
                                *session_.target, *session_.torch, options));
  KW_TRY(run.baselines, run.referee->baselines());
  KW_TRY(auto unjudged, run.referee->get_ready());
  if (unjudged) return unjudged;
  for (const auto& [name, ms] : run.baselines.ms)
    if (name == "eager") run.result.eager_ms = ms;
  base::note(fmt::format("  {}: {} ops, {}; fastest {} {}, speed of light {} ({}-bound)", region.id,
                         region.nodes.size(),
                         region.whole ? "the whole module" : "part of the module",
                         run.baselines.best_name, report::ms_text(run.baselines.best_ms),
                         report::ms_text(run.light.seconds * 1e3), run.light.bound));
  KW_CHECK_OK(enter_contest(run));
  return std::nullopt;
}

Status OpenedRun::enter_contest(OpenedRegion& run) {
  ContestOptions options;
  options.run = id_;
  options.subject = run.subject;
  options.best_dir = folder_.best() / run.result.region.id;
  if (options_.resume) {
    KW_TRY(options.earlier, recall(archive_, run.subject, 1 + kRunnersUp));
    const auto& earlier = options.earlier;
    if (!earlier.outcomes.empty())
      base::note(fmt::format(
          "  {}: {} programs known from earlier{}", run.result.region.id, earlier.outcomes.size(),
          earlier.right.empty()
              ? std::string()
              : fmt::format(", the best {}", report::ms_text(earlier.right[0].ms))));
  }
  run.contest = std::make_unique<Contest>(*run.referee, archive_, std::move(options));
  return {};
}

Result<std::unique_ptr<program::Proposer>> OpenedRun::expert(const OpenedRegion& region) const {
  return expert::make_expert(region.stages, session_.model, expert_options(session_, seed_));
}

Result<program::Proposal> OpenedRun::naive(const OpenedRegion& region) const {
  program::Proposal proposal;
  KW_TRY(proposal.candidate, expert::naive_program(region.stages, expert_options(session_, seed_)));
  proposal.proposer = "expert";
  proposal.idea = "naive loop nests";
  return proposal;
}

std::optional<program::Proposal> OpenedRun::left_behind(const OpenedRegion& region) const {
  if (!options_.resume) return std::nullopt;
  auto left = left_program(folder_.path(), folder_.out(), region.result.region.id);
  if (left && region.contest->known(program::candidate_id(left->candidate))) return std::nullopt;
  return left;
}

Result<RunResult> OpenedRun::finish(double search_s) {
  result_ = begun_;
  result_.search_s = search_s;
  KW_CHECK_OK(promote_regions());
  KW_CHECK_OK(go_on());
  KW_CHECK_OK(write_artifact());
  KW_CHECK_OK(go_on());
  KW_CHECK_OK(publish());
  return result_;
}

Status OpenedRun::promote_regions() {
  for (auto& run : regions_) {
    KW_CHECK_OK(go_on());
    run.winner.reset();
    run.result.accepted = false;
    run.result.promotion.reset();
    auto& found = run.result.search;
    found.verdicts = run.contest->verdicts();
    found.tried = run.contest->tried();
    if (const auto& best = run.contest->best()) {
      found.best_ms = best->ms;
      found.share_of_libraries = best->proposal.share_of_libraries;
    }
    for (const auto& [name, count] : found.verdicts) result_.verdicts[name] += count;
    result_.tried += found.tried;
    KW_CHECK_OK(promote(run));
    if (!run.winner) continue;
    run.result.kernels = program::launched_kernels(run.winner->candidate.program.run);
    KW_TRY(run.result.rewrites, rewrites_of(run.winner->id));
    KW_TRY(auto ideas, ideas_of(archive_, run.winner->id));
    KW_CHECK_OK(
        archive_.record_lesson(lesson_of(run.result, run.ops, session_.target->kind(), ideas)));
  }
  return {};
}

// The archive holds every program's schedule, those of earlier runs among them.
Result<std::vector<rewrite::Applied>> OpenedRun::rewrites_of(const std::string& program) {
  KW_TRY(const auto records, archive_.verdicts_of_program(program));
  std::vector<rewrite::Applied> applied;
  for (const auto& record : records) {
    const auto schedule = nlohmann::json::parse(record.schedule_json, nullptr, false);
    if (!applied.empty() || !schedule.is_object()) continue;
    for (const auto& [key, count] : schedule.items()) {
      auto rule = expert::rule_of_key(key);
      if (!rule || !count.is_number_integer()) continue;
      applied.resize(applied.size() + std::clamp<size_t>(count.get<size_t>(), 1, 64), *rule);
    }
  }
  return applied;
}

Status OpenedRun::promote(OpenedRegion& run) {
  std::vector<const referee::Prepared*> tries;
  if (run.contest->best()) tries.push_back(&run.contest->best()->prepared);
  for (const auto& other : run.contest->others()) tries.push_back(&other.prepared);
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
  return {};
}

Status OpenedRun::record_promotion(OpenedRegion& run, const referee::Prepared& prepared,
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
Status OpenedRun::write_artifact() {
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
    // No longer than the search itself took: a quick run stays quick.
    FinalCheckOptions options;
    options.timing_s = std::clamp(result_.search_s, 2.0, options.timing_s);
    options.fresh_timing_s = options.timing_s / 4;
    options.seed = unpredictable_seed();
    options.traffic = traffic();
    if (interrupted())
      options = {.timing_s = 2, .fresh_timing_s = 0.5, .with_compile = false, .seed = options.seed};
    KW_TRY(FinalCheck check, check_artifact(session_, folder_.path(), spec, options));
    KW_CHECK_OK(take_final_check(check, programs));
  }
  return {};
}

// What a call must move, where memory bounds all of it.
torch::Worker::Traffic OpenedRun::traffic() const {
  double bytes = 0;
  for (const auto& run : regions_) {
    if (run.result.bound != "memory") return {};
    bytes += run.work.bytes;
  }
  if (session_.target->kind() != "cpu" || !unjudged_.empty()) return {};
  int64_t written = 0;
  const graph::Graph& graph = session_.imported.graph;
  for (const auto& output : graph.outputs)
    if (output.value >= 0) written += graph.value(output.value).type.bytes();
  return {std::max<int64_t>(0, static_cast<int64_t>(bytes) - written), written};
}

void OpenedRun::take_region_results() {
  double covered = 0, whole = 0, library = 0;
  result_.regions.clear();
  for (auto& run : regions_) {
    whole += run.result.eager_ms;
    if (run.result.accepted) {
      covered += run.result.eager_ms * (1 - run.result.search.share_of_libraries);
      library += run.result.eager_ms * run.result.search.share_of_libraries;
    }
    result_.regions.push_back(run.result);
  }
  whole = std::max(whole, whole_eager_ms());
  result_.coverage = whole > 0 ? covered / whole : 0;
  result_.share_of_libraries = whole > 0 ? library / whole : 0;
}

double OpenedRun::whole_eager_ms() {
  if (regions_.size() == 1 && regions_[0].result.region.whole) return regions_[0].result.eager_ms;
  if (!whole_eager_ms_) {
    auto times = session_.torch->time_baseline("whole", "eager", 7, flush_bytes(session_));
    whole_eager_ms_ = times && !times->ms.empty() ? times->ms[times->ms.size() / 2] : 0;
  }
  return *whole_eager_ms_;
}

std::string OpenedRun::why_nothing_was_accepted() const {
  if (regions_.empty())
    return unjudged_.empty() ? "no region that kernelwright can compile" : unjudged_;
  for (const auto& run : regions_)
    if (run.result.promotion)
      return fmt::format("{}: {}", run.result.region.id, run.result.promotion->reason);
  return "no program proved right within the budget";
}

Status OpenedRun::take_final_check(const FinalCheck& check, const std::string& programs) {
  result_.candidate_error = check.candidate_error;
  result_.eager_error = check.eager_error;
  if (!check.right)
    return keep_baseline("the final check did not accept the drop-in: " + check.reason);
  result_.baseline = check.baseline;
  result_.comparisons = check.comparisons;
  result_.prepare_ms = check.prepare_ms;
  result_.others_share = check.others_share;
  result_.disturbed = check.disturbed();
  if (check.memory_ms)
    result_.memory = MemoryFigures{traffic().read, traffic().written, *check.memory_ms};
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
Status OpenedRun::keep_baseline(const std::string& reason) {
  result_.status = "baseline_kept";
  result_.reason = reason;
  result_.best.reset();
  result_.coverage = result_.share_of_libraries = 0;
  for (auto& region : result_.regions) region.accepted = false;
  std::error_code code;
  fs::remove_all(folder_.path() / "programs", code);
  if (result_.baseline.best_ms == 0) take_region_baseline();
  return {};
}

void OpenedRun::take_region_baseline() {
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

Status OpenedRun::publish() {
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
  return {};
}

Status OpenedRun::write_verdicts() {
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
    const auto schedule = nlohmann::json::parse(record.schedule_json, nullptr, false);
    if (schedule.is_object() && !schedule.empty()) line["schedule"] = schedule;
    lines += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  return base::write_file_atomic(folder_.path() / "verdicts.jsonl", lines);
}

}  // namespace kernelwright::search

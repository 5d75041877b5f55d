// SPDX-License-Identifier: Apache-2.0
#include "cli/judging.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/file.h"
#include "base/log.h"
#include "graph/analysis.h"
#include "report/table.h"
#include "rewrite/rules.h"
#include "search/artifact.h"
#include "search/final_check.h"
#include "search/session.h"

namespace kernelwright::cli {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

referee::RefereeOptions referee_options(const search::Session& session, double floor_s,
                                        uint64_t seed) {
  referee::RefereeOptions options;
  options.threads = session.threads;
  options.seed = seed;
  options.speed_of_light_s = floor_s;
  return options;
}

Result<double> floor_of(const search::Session& session, const graph::Region& region) {
  KW_TRY(graph::StageGraph stages, graph::lower(session.imported.graph, region));
  auto dtype = graph::DType::kF32;
  for (const auto& tensor : stages.tensors)
    if (tensor.type.dtype == graph::DType::kF64) dtype = graph::DType::kF64;
  return session.model.floor_seconds(
      rewrite::least_work(stages, session.model.ceilings(dtype, session.policy)), dtype,
      session.policy);
}

// Builds and judges one program for a region, at the promotion tier.
Result<referee::Verdict> judge(search::Session& session, const graph::Region& region,
                               const program::Candidate& candidate, uint64_t seed) {
  KW_TRY(double floor_s, floor_of(session, region));
  KW_TRY(auto judge_of_region,
         referee::Referee::open(
             {region.id, referee::interface_of(session.imported.graph, region), session.policy},
             *session.target, *session.torch, referee_options(session, floor_s, seed)));
  KW_TRY(auto prepared, judge_of_region->prepare({candidate}));
  if (prepared.at(0).early) return *prepared[0].early;
  base::progress("judging", region.id);
  return judge_of_region->promote(prepared[0]);
}

json check_json(const referee::Verdict& verdict) {
  json out = {{"status", referee::verdict_name(verdict.kind)},
              {"reason", verdict.reason},
              {"detail", verdict.detail},
              {"ms", nullptr},
              {"speedup", nullptr},
              {"error", nullptr}};
  if (verdict.timing) {
    out["ms"] = verdict.timing->ms;
    out["speedup"] = verdict.timing->speedup;
    out["speedup_low"] = verdict.timing->speedup_low;
    out["speedup_high"] = verdict.timing->speedup_high;
    out["reference"] = verdict.timing->reference;
    out["reference_ms"] = verdict.timing->reference_ms;
  }
  const json full = referee::verdict_json(verdict);
  out["error"] = full.value("error", json());
  return out;
}

// The one region of a workload that a whole program can stand for.
Result<const graph::Region*> whole_region(const search::Session& session) {
  if (session.partition.regions.size() == 1) return &session.partition.regions[0];
  if (session.partition.regions.empty())
    return fail(ErrorKind::kInput,
                "no part of this workload can be compiled: " +
                    (session.partition.eager.empty() ? std::string("it does not export")
                                                     : session.partition.eager[0].reason));
  return fail(
      ErrorKind::kInput,
      fmt::format("the workload falls into {} regions; check judges workloads of one region",
                  session.partition.regions.size()));
}

Result<json> read_result(const fs::path& artifact) {
  KW_TRY(std::string text, base::read_file(artifact / "result.json", 256 << 20));
  json result = json::parse(text, nullptr, false);
  const auto whole = [&](const char* key) {
    return result.contains(key) && result[key].is_object();
  };
  if (!result.is_object() || !whole("spec") || !whole("baseline") || !whole("error") ||
      !whole("speed_of_light") || !whole("verdicts") || !result.contains("best") ||
      !result.contains("regions") || !result.contains("eager"))
    return fail(ErrorKind::kInput,
                fmt::format("{} is no artifact: result.json lacks its fields", artifact.string()));
  return result;
}

std::string spec_field(const json& result, const char* key) {
  const auto& spec = result["spec"];
  return spec.contains(key) && spec[key].is_string() ? spec[key].get<std::string>() : "";
}

// The spec of an artifact's original, as seen from here.
torch::WorkloadSpec artifact_spec(const json& result, const fs::path& artifact) {
  torch::WorkloadSpec spec{spec_field(result, "path"),   spec_field(result, "init"),
                           spec_field(result, "inputs"), spec_field(result, "size"),
                           spec_field(result, "policy"), spec_field(result, "target")};
  const auto inside = [&](const std::string& path) {
    std::error_code code;
    const std::string file = path.substr(
        0, path.find(".py:") == std::string::npos ? path.size() : path.find(".py:") + 3);
    return fs::exists(artifact / file, code) ? (artifact / path).string() : path;
  };
  spec.path = inside(spec.path);
  if (!spec.inputs.empty()) spec.inputs = inside(spec.inputs);
  return spec;
}

struct Verified {
  bool accepted = true;
  std::string reason;
  json regions = json::array();
  std::optional<search::FinalCheck> check;
};

Result<Verified> verify(const VerifyOptions& options, const json& recorded,
                        const fs::path& artifact) {
  KW_TRY(base::TempDir work, base::TempDir::create("kernelwright-verify"));
  search::SessionOptions session_options;
  session_options.spec = artifact_spec(recorded, artifact);
  session_options.threads = options.threads > 0 ? options.threads : recorded.value("threads", 0);
  session_options.work_dir = work.path();
  KW_TRY(search::Session session, search::Session::open(session_options));
  Verified out;
  // Objects are rebuilt here from the sources; the drop-in is then checked with these.
  const fs::path rebuilt = work.path() / "artifact";
  std::error_code code;
  fs::copy(artifact, rebuilt, fs::copy_options::recursive, code);
  if (code) return fail(ErrorKind::kEnvironment, "cannot copy the artifact: " + code.message());
  bool any = false;
  for (const auto& region : session.partition.regions) {
    const auto candidate_dir = artifact / "programs" / region.id;
    if (!fs::exists(candidate_dir / "program.json", code)) continue;
    any = true;
    KW_TRY(program::Candidate candidate, program::read_candidate(candidate_dir));
    KW_TRY(referee::Verdict verdict, judge(session, region, candidate, options.seed));
    json entry = check_json(verdict);
    entry["region"] = region.id;
    out.regions.push_back(entry);
    if (!verdict.correct()) {
      out.accepted = false;
      out.reason =
          fmt::format("{}: {}: {}", region.id, referee::verdict_name(verdict.kind), verdict.reason);
      return out;
    }
    KW_TRY(auto built, session.target->build(candidate, session.policy));
    if (!built) return fail(ErrorKind::kInternal, "a judged program did not build again");
    fs::copy_file(built->path, rebuilt / "programs" / region.id / built->path.filename(),
                  fs::copy_options::overwrite_existing, code);
    if (code)
      return fail(ErrorKind::kEnvironment, "cannot copy a rebuilt object: " + code.message());
  }
  if (!any) {
    out.reason = "the artifact keeps the baseline: there is nothing to judge";
    return out;
  }
  search::FinalCheckOptions check_options;
  check_options.seed = options.seed ? options.seed : std::random_device()();
  KW_TRY(out.check, search::check_artifact(session, rebuilt, session.spec, check_options));
  if (!out.check->right) {
    out.accepted = false;
    out.reason = "the drop-in is wrong: " + out.check->reason;
  } else if (!out.check->faster()) {
    out.accepted = false;
    out.reason =
        fmt::format("the drop-in is not faster with confidence on this machine ({}, at least {})",
                    report::ratio_text(out.check->best.speedup),
                    report::ratio_text(out.check->best.speedup_low));
  }
  return out;
}

// The recorded result with the figures measured now.
json measured_now(const json& recorded, const Verified& verified) {
  json now = recorded;
  if (!verified.check) return now;
  const auto& check = *verified.check;
  now["baseline"]["eager_ms"] = check.baseline.eager_ms;
  now["baseline"]["best_ms"] = check.baseline.best_ms;
  now["baseline"]["best_name"] = check.baseline.best_name;
  now["baseline"]["compile_ms"] =
      check.baseline.compile_ms ? json(*check.baseline.compile_ms) : json();
  now["best"]["ms"] = check.best.ms;
  now["best"]["speedup"] = check.best.speedup;
  now["best"]["speedup_low"] = check.best.speedup_low;
  now["best"]["speedup_high"] = check.best.speedup_high;
  now["final"] = {{"fresh",
                   {{"original_ms", check.fresh.original_ms},
                    {"dropin_ms", check.fresh.dropin_ms},
                    {"speedup", check.fresh.speedup}}}};
  now["others_share"] = check.others_share;
  now["disturbed"] = check.disturbed();
  now["error"]["candidate"]["rho_rms"] = check.candidate_error.rho_rms;
  now["error"]["candidate"]["rho_max"] = check.candidate_error.rho_max;
  now["error"]["eager"]["rho_rms"] = check.eager_error.rho_rms;
  now["error"]["eager"]["rho_max"] = check.eager_error.rho_max;
  return now;
}

}  // namespace

torch::WorkloadSpec workload_spec(const WorkloadOptions& workload, const JudgeOptions& options) {
  return {workload.workload, workload.init,  workload.inputs,
          workload.size,     options.policy, options.target};
}

int cmd_check(const CheckOptions& options, const GlobalOptions& global) {
  const auto run = [&]() -> Result<referee::Verdict> {
    // A malformed program is refused before anything is started.
    KW_TRY(program::Candidate candidate, program::read_candidate(options.program_dir));
    KW_TRY(base::TempDir work, base::TempDir::create("kernelwright-check"));
    KW_TRY(search::Session session,
           search::Session::open({workload_spec(options.workload, options.judge),
                                  options.judge.threads, work.path()}));
    KW_TRY(const graph::Region* region, whole_region(session));
    return judge(session, *region, candidate, options.judge.seed);
  };
  const auto verdict = run();
  if (!verdict) return report_error(verdict.error(), global);
  base::end_progress();
  if (global.json) {
    fmt::print("{}\n", check_json(*verdict).dump(-1, ' ', false, json::error_handler_t::replace));
  } else {
    fmt::print("{}: {}\n", referee::verdict_name(verdict->kind), verdict->reason);
    if (!verdict->detail.empty()) fmt::print("{}\n", verdict->detail);
    for (const auto& timing : verdict->baselines)
      fmt::print("  {} against {} {}: {} ({:.2f} – {:.2f})\n", report::ms_text(timing.ms),
                 timing.reference, report::ms_text(timing.reference_ms),
                 report::ratio_text(timing.speedup), timing.speedup_low, timing.speedup_high);
  }
  return verdict->kind == referee::VerdictKind::kAccepted ? 0
                                                          : base::exit_code(ErrorKind::kRejected);
}

int cmd_verify(const VerifyOptions& options, const GlobalOptions& global) {
  const fs::path artifact = options.artifact_dir;
  const auto recorded = read_result(artifact);
  if (!recorded) return report_error(recorded.error(), global);
  const auto verified = verify(options, *recorded, artifact);
  if (!verified) return report_error(verified.error(), global);
  base::end_progress();
  const json now = measured_now(*recorded, *verified);
  if (global.json) {
    fmt::print("{}\n", json{{"status", verified->accepted ? "accepted" : "rejected"},
                            {"reason", verified->reason},
                            {"regions", verified->regions},
                            {"recorded",
                             {{"baseline", recorded->value("baseline", json())},
                              {"best", recorded->value("best", json())}}},
                            {"now", {{"baseline", now["baseline"]}, {"best", now["best"]}}}}
                           .dump());
  } else {
    fmt::print("\n  recorded\n{}", report::result_table(*recorded));
    if (verified->check) fmt::print("\n  now, on this machine\n{}", report::result_table(now));
    fmt::print("\n  {}{}\n", verified->accepted ? "accepted" : "rejected",
               verified->reason.empty() ? "" : ": " + verified->reason);
  }
  return verified->accepted ? 0 : base::exit_code(ErrorKind::kRejected);
}

}  // namespace kernelwright::cli

// SPDX-License-Identifier: Apache-2.0
#include "agent/answers.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "agent/format_guide.h"
#include "agent/texts.h"
#include "program/target_rules.h"

namespace kernelwright::agent {
namespace {

using nlohmann::json;
using referee::VerdictKind;

constexpr size_t kDetailBytes = 1600;
constexpr size_t kSourceBytes = 24 << 10;
constexpr size_t kNodesShown = 150;
constexpr size_t kIdShown = 16;  // digits of a program's id

// Four significant digits: more is noise, and costs tokens.
double rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return 0;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::fabs(value))));
  return std::round(value * scale) / scale;
}

std::string shown(const std::string& id) {
  return id.substr(0, kIdShown);
}

json slots(const std::vector<program::Interface::Slot>& list, bool indexed) {
  json out = json::array();
  for (size_t i = 0; i < list.size(); ++i) {
    json slot = {{"type", list[i].type.text()}};
    if (indexed)
      slot["index"] = i;
    else
      slot["name"] = list[i].name;
    out.push_back(std::move(slot));
  }
  return out;
}

json best_json(const BestProgram& best, const RegionFacts& region) {
  json out = {{"program", shown(best.id)},
              {"ms", rounded(best.ms)},
              {"proposer", best.proposer},
              {"idea", best.idea}};
  if (best.ms > 0) {
    out["speedup_over_baseline"] = rounded(region.best_baseline_ms / best.ms);
    out["share_of_speed_of_light"] = rounded(region.light.seconds * 1e3 / best.ms);
  }
  return out;
}

json region_answer(const graph::Graph& graph, const RegionFacts& region,
                   const std::optional<BestProgram>& best) {
  json nodes = json::array();
  for (const int node : region.region.nodes) {
    if (nodes.size() == kNodesShown) {
      nodes.push_back(fmt::format("... and {} more", region.region.nodes.size() - kNodesShown));
      break;
    }
    nodes.push_back(graph::node_text(graph, graph.nodes.at(static_cast<size_t>(node))));
  }
  json out = {{"region", region.region.id},
              {"whole_module", region.region.whole},
              {"inputs", slots(region.interface.inputs, true)},
              {"outputs", slots(region.interface.outputs, true)},
              {"weights", slots(region.interface.weights, false)},
              {"graph", std::move(nodes)}};
  if (!region.interface.states.empty()) out["states"] = slots(region.interface.states, false);
  out["work"] = {{"contraction_flops", region.work.contraction_flops},
                 {"other_flops", region.work.other_flops},
                 {"bytes", region.work.bytes}};
  out["speed_of_light"] = {{"ms", rounded(region.light.seconds * 1e3)},
                           {"bound", region.light.bound},
                           {"memory_ms", rounded(region.light.memory_s * 1e3)},
                           {"compute_ms", rounded(region.light.compute_s * 1e3)}};
  json baselines = json::object();
  for (const auto& [name, ms] : region.baselines_ms) baselines[name] = rounded(ms);
  out["baselines_ms"] = std::move(baselines);
  out["to_beat"] = {{"baseline", region.best_baseline}, {"ms", rounded(region.best_baseline_ms)}};
  out["best"] = best ? best_json(*best, region) : json();
  return out;
}

// Neither faster nor slower with confidence.
bool unsettled(const referee::Verdict& verdict) {
  return verdict.timing && verdict.timing->speedup_low < 1 && verdict.timing->speedup_high > 1;
}

// What to do next, by verdict.
const char* advice(const referee::Verdict& verdict, bool best) {
  switch (verdict.kind) {
    case VerdictKind::kBuildFailed:
      return "mend what first_to_fix says (detail has the rest, if there is more); nothing was run";
    case VerdictKind::kRefused:
      return "the program breaks a rule of the format or the screen, named in first_to_fix; "
             "nothing was run";
    case VerdictKind::kCrashed:
      return "a kernel faulted. Past the end of a tensor: check every index, whole vectors too, "
             "against the shapes in describe_workload. A null pointer or a bare address: scratch "
             "needs scratch_bytes in the launch, and buffers[i] counts the buffers among its args. "
             "A write of what is read-only: the order of the args";
    case VerdictKind::kTimedOut:
      return "a call did not end in time: look for a loop or barrier that never ends";
    case VerdictKind::kWrong:
      return referee::is_imprecise(verdict)
                 ? "close everywhere, but not close enough: hundreds of terms in one fp32 sum (use "
                   "several sums, blocks of 128 to 256, or double), an approximation, or a "
                   "constant "
                   "slightly off"
                 : "something else is computed at the element named: indices, edges, elements "
                   "never "
                   "written. Get it right first, speed does not count until then";
    case VerdictKind::kCheated:
      return "the program does what no honest kernel does, named in first_to_fix";
    case VerdictKind::kSlower:
      return unsettled(verdict)
                 ? "right, but the interval holds 1: the gain is too small, or the machine "
                   "too busy, to tell it from the best. Try a bolder change"
                 : "right, but not faster than the best with confidence: profile_program, "
                   "or try another idea";
    case VerdictKind::kAccepted:
      return best ? "right, and the best so far: improve it, or write_artifact, which verifies it "
                    "on more inputs and against every baseline"
                  : "right";
  }
  return "";
}

json error_json(const referee::Verdict& verdict) {
  json out = {{"rms", rounded(verdict.candidate_error->rho_rms)},
              {"max", rounded(verdict.candidate_error->rho_max)},
              {"unit", "the problem's own rounding noise"}};
  if (verdict.eager_error)
    out["eager"] = {{"rms", rounded(verdict.eager_error->rho_rms)},
                    {"max", rounded(verdict.eager_error->rho_max)}};
  return out;
}

json timing_json(const Judged& judged, const RegionFacts& region) {
  const auto& timing = *judged.verdict.timing;
  const double ms = judged.ms > 0 ? judged.ms : timing.ms;
  json out = {{"ms", rounded(ms)}, {"spread", rounded(timing.spread)}};
  if (judged.opponent)
    out["against_best"] = {
        {"program", shown(judged.opponent->id)},
        {"ms", rounded(judged.opponent->ms)},
        {"speedup", rounded(timing.speedup)},
        {"interval_95", {rounded(timing.speedup_low), rounded(timing.speedup_high)}}};
  if (ms > 0) {
    if (region.best_baseline_ms > 0)
      out["speedup_over_baseline"] = rounded(region.best_baseline_ms / ms);
    out["share_of_speed_of_light"] = rounded(region.light.seconds * 1e3 / ms);
    out["gb_per_s"] = rounded(region.work.bytes / ms / 1e6);
    out["gflop_per_s"] =
        rounded((region.work.contraction_flops + region.work.other_flops) / ms / 1e6);
  }
  return out;
}

json kernels_json(const std::vector<target::KernelResources>& kernels) {
  json out = json::array();
  for (const auto& kernel : kernels)
    out.push_back({{"kernel", kernel.kernel},
                   {"registers", kernel.registers},
                   {"shared_bytes", kernel.shared_bytes},
                   {"stack_bytes", kernel.stack_bytes},
                   {"spilled_bytes", kernel.spill_store_bytes + kernel.spill_load_bytes}});
  return out;
}

json machine_json(const target::MachineModel& model) {
  json levels = json::array(), rates = json::array();
  for (const auto& level : model.levels)
    levels.push_back({{"level", level.name},
                      {"bytes", level.bytes},
                      {"read_gb_per_s", rounded(level.read_bytes_per_s / 1e9)},
                      {"copy_gb_per_s", rounded(level.copy_bytes_per_s / 1e9)}});
  for (const auto& rate : model.rates)
    rates.push_back({{"unit", rate.unit},
                     {"dtype", graph::dtype_name(rate.dtype)},
                     {"gflop_per_s", rounded(rate.flops_per_s / 1e9)}});
  json out = {{"levels", levels}, {"rates", rates}, {"launch_us", rounded(model.launch_s * 1e6)}};
  if (model.vector_bytes > 0) out["vector_bytes"] = model.vector_bytes;
  if (model.multiprocessors > 0) {
    out["multiprocessors"] = model.multiprocessors;
    out["shared_bytes_per_block"] = model.shared_bytes;
  }
  return out;
}

json example_json(const std::string& kind) {
  const std::string file = kind == "cpu" ? "kernels.cpp" : "kernels.cu";
  const auto* text = find_text("example/" + kind + "/program.json");
  const auto* source = find_text("example/" + kind + "/" + file);
  if (!text || !source) return {};
  return {{"program", json::parse(*text, nullptr, false)}, {"sources", {{file, *source}}}};
}

// A detail of one line that only repeats the reason is left out.
bool says_more(const referee::Verdict& verdict) {
  const auto& detail = verdict.detail;
  return !detail.empty() && detail != verdict.reason && detail != verdict.reason + "\n";
}

}  // namespace

std::string shortened(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  size_t end = bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + fmt::format("\n... ({} bytes more)", text.size() - end);
}

json workload_answer(const WorkloadFacts& facts, const Workbench& bench) {
  json regions = json::array();
  for (const auto& region : facts.regions)
    regions.push_back(region_answer(facts.graph, region, bench.best(region.region.id)));
  json out = {{"workload", facts.name},   {"target", facts.target},
              {"device", facts.device},   {"policy", facts.policy},
              {"threads", facts.threads}, {"regions", std::move(regions)}};
  json eager = json::array();
  for (const auto& [what, why] : facts.eager) eager.push_back({{"what", what}, {"why", why}});
  if (!eager.empty()) out["stays_in_pytorch"] = std::move(eager);
  if (!facts.source.empty()) out["pytorch_source"] = shortened(facts.source, kSourceBytes);
  return out;
}

json target_answer(const WorkloadFacts& facts) {
  const std::string kind = facts.target.substr(0, facts.target.find(':'));
  json out = {
      {"target", kind},         {"device", facts.device},   {"toolchain", facts.toolchain},
      {"policy", facts.policy}, {"threads", facts.threads}, {"machine", machine_json(facts.model)}};
  if (kind == "cpu") {
    out["instruction_sets"] = facts.features;
    if (const auto* abi = find_text("cpu/kernelwright/kernel_abi.h")) out["kernel_abi.h"] = *abi;
  }
  if (const auto* rules = program::target_rules(kind)) {
    json flags = json::array();
    for (const auto& flag : rules->flags) flags.push_back(program::flag_text(flag));
    out["flags_allowed"] = std::move(flags);
  }
  json headers = json::array();
  for (const auto& name : playbook_names())
    if (name.rfind(kind + "/", 0) == 0) headers.push_back(name.substr(kind.size() + 1));
  out["headers"] = std::move(headers);
  out["program_format"] = format_rules(kind);
  if (json example = example_json(kind); !example.is_null()) out["example"] = std::move(example);
  out["more"] = "read_playbook: '" + kind + "' says what pays, a header's name (such as '" + kind +
                "/kw_math.h') shows it, 'program-format' has every rule of every target";
  return out;
}

json judged_answer(const Judged& judged, const RegionFacts& region,
                   const std::optional<BestProgram>& best, bool timed) {
  const auto& verdict = judged.verdict;
  const bool right = verdict.correct();
  json out = {{"program", shown(judged.program)}, {"region", region.region.id}};
  out["verdict"] = !timed && right ? "right" : referee::verdict_name(verdict.kind);
  if (!right) out["first_to_fix"] = verdict.reason;
  if (right && timed && !verdict.reason.empty()) out["reason"] = verdict.reason;
  if (!right && says_more(verdict)) out["detail"] = shortened(verdict.detail, kDetailBytes);
  if (right && timed) out["is_best"] = judged.best;
  if (right && verdict.timing) out["timing"] = timing_json(judged, region);
  if (verdict.candidate_error) out["error"] = error_json(verdict);
  if (!verdict.kernels.empty()) out["kernels"] = kernels_json(verdict.kernels);
  if (judged.known) out["known"] = "the same program was judged before in this session";
  out["best"] = best ? best_json(*best, region) : json();
  out["next"] = right && !timed ? "right: submit_program times it against the best and records it"
                                : advice(verdict, judged.best);
  return out;
}

json profile_answer(const Profile& profile, const RegionFacts& region,
                    const target::MachineModel& model) {
  json out = judged_answer(profile.judged, region, std::nullopt, false);
  out.erase("best");
  if (!profile.judged.verdict.correct()) return out;
  const double ms = profile.judged.verdict.timing ? profile.judged.verdict.timing->ms : 0;
  double whole = 0;
  for (const auto& step : profile.judged.verdict.steps) whole += step.ms;
  for (const auto& step : profile.judged.verdict.steps) {
    json entry = {{"step", step.step},
                  {"ms", rounded(step.ms)},
                  {"share", rounded(whole > 0 ? step.ms / whole : 0)}};
    if (const std::string counted = program::counted_text(step); !counted.empty())
      entry["counted"] = counted;
    out["steps"].push_back(std::move(entry));
  }
  out["roofline"] = {{"bound", region.light.bound},
                     {"memory_gb_per_s", rounded(model.memory_bytes_per_s() / 1e9)},
                     {"least_ms", rounded(region.light.seconds * 1e3)}};
  if (ms > 0) out["roofline"]["times_the_least"] = rounded(ms / (region.light.seconds * 1e3));
  if (profile.judged.verdict.prepare_ms > 0)
    out["prepare_ms"] = rounded(profile.judged.verdict.prepare_ms);
  if (!profile.compiler_log.empty())
    out["compiler_warnings"] = shortened(profile.compiler_log, kDetailBytes);
  out["next"] = std::string("bound by ") + region.light.bound +
                ": compare gb_per_s and gflop_per_s with the machine; what pays: read_playbook";
  return out;
}

json program_answer(const program::Candidate& candidate, const std::string& id) {
  return {{"program_id", shown(id)},
          {"program", json::parse(program::print_program(candidate.program), nullptr, false)},
          {"sources",
           {{candidate.program.source, shortened(candidate.source, size_t{4} * kSourceBytes)}}}};
}

json listed_answer(const archive::VerdictRecord& record) {
  json out = {{"program", shown(record.program)},
              {"verdict", referee::verdict_name(record.verdict.kind)},
              {"proposer", record.proposer},
              {"idea", record.idea}};
  if (!record.parent.empty()) out["parent"] = shown(record.parent);
  if (record.verdict.correct() && record.verdict.timing) {
    out["ms"] = rounded(record.verdict.timing->ms);
    // The first of a region has nothing to be compared with.
    if (const auto& timing = *record.verdict.timing; !timing.reference.empty()) {
      out["speedup"] = rounded(timing.speedup);
      out["interval_95"] = {rounded(timing.speedup_low), rounded(timing.speedup_high)};
      out["against"] = shown(timing.reference);
    }
  } else {
    out["why"] = shortened(record.verdict.reason, 300);
  }
  return out;
}

}  // namespace kernelwright::agent

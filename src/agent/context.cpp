// SPDX-License-Identifier: Apache-2.0
#include "agent/context.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "agent/fence.h"
#include "agent/format_guide.h"

namespace kernelwright::agent {
namespace {

constexpr size_t kTriedShown = 24;
constexpr size_t kReasonBytes = 300;
constexpr size_t kShownSourceBytes = 24 << 10;
constexpr size_t kGraphNodes = 300;

std::string short_id(const std::string& id) {
  return id.substr(0, 12);
}

std::string slots_text(const char* role, const std::vector<program::Interface::Slot>& slots) {
  std::string out;
  for (size_t i = 0; i < slots.size(); ++i)
    out += fmt::format("- {} {}: {}\n", role,
                       slots[i].name.empty() ? std::to_string(i) : "`" + slots[i].name + "`",
                       slots[i].type.text());
  return out;
}

std::string task_text(const ContextInput& in) {
  const auto& w = *in.workload;
  const auto& r = *in.region;
  std::string out = fmt::format(
      "Workload `{}`, region `{}` ({} ops{}), target {} ({}; {} threads), policy `{}`.\n{}\n",
      w.name, r.region.id, r.region.nodes.size(), r.region.whole ? ", the whole module" : "",
      w.target, w.device, w.threads, w.policy, policy_rule(w.policy));
  out += "\nWhat a program of this region reads and writes:\n";
  out += slots_text("input", r.interface.inputs) + slots_text("weight", r.interface.weights) +
         slots_text("state", r.interface.states) + slots_text("output", r.interface.outputs);
  out += "\nTimes:\n";
  for (const auto& [name, ms] : r.baselines_ms) out += fmt::format("- {}: {:.4g} ms\n", name, ms);
  out += fmt::format(
      "- speed of light: {:.4g} ms, {}-bound (the least work known: {:.3g} GFLOP in contractions, "
      "3x3 "
      "convolutions by minimal filtering; {:.3g} GFLOP other, {:.3g} MB that must cross the "
      "memory)\n",
      r.light.seconds * 1e3, r.light.bound, r.work.contraction_flops / 1e9,
      r.work.other_flops / 1e9, r.work.bytes / 1e6);
  out += fmt::format(
      "\nTo be accepted in the end, a program must be right and beat {} ({:.4g} ms) "
      "with confidence.\n",
      r.best_baseline, r.best_baseline_ms);
  return out;
}

std::string graph_section(const ContextInput& in) {
  const auto& nodes = in.region->region.nodes;
  std::string lines;
  for (size_t i = 0; i < nodes.size() && i < kGraphNodes; ++i)
    lines += graph::node_text(in.workload->graph,
                              in.workload->graph.nodes.at(static_cast<size_t>(nodes[i]))) +
             "\n";
  if (nodes.size() > kGraphNodes)
    lines += fmt::format("... and {} more\n", nodes.size() - kGraphNodes);
  std::string out = fenced("graph", lines);
  const std::string stages = in.region->stages.text();
  return out + "\nThe same as element-wise definitions:\n" +
         fenced("definitions", stages, 12 << 10);
}

std::string program_section(const ShownProgram& shown) {
  return fmt::format("Program {} on {}{}.\n", short_id(shown.id), shown.target,
                     shown.ms > 0 ? fmt::format(", {:.4g} ms", shown.ms) : "") +
         fenced("idea", shown.idea, kReasonBytes) +
         fenced("program.json", program::print_program(shown.candidate.program),
                kShownSourceBytes) +
         fenced(shown.candidate.program.source, shown.candidate.source, kShownSourceBytes);
}

// The last word on each program, the newest at the end.
std::string tried_section(const std::vector<archive::VerdictRecord>& tried) {
  std::vector<const archive::VerdictRecord*> last;
  std::map<std::string, size_t> place;
  for (const auto& record : tried) {
    const auto [it, fresh] = place.emplace(record.program, last.size());
    if (fresh)
      last.push_back(&record);
    else
      last[it->second] = &record;
  }
  const size_t from = last.size() > kTriedShown ? last.size() - kTriedShown : 0;
  std::string lines;
  for (size_t i = from; i < last.size(); ++i) {
    const auto& r = *last[i];
    lines += fmt::format("{} from {} by {}: {}{}. {}. {}\n", short_id(r.program),
                         r.parent.empty() ? "nothing" : short_id(r.parent), r.proposer,
                         referee::verdict_name(r.verdict.kind),
                         r.verdict.timing ? fmt::format(" at {:.4g} ms", r.verdict.timing->ms) : "",
                         abridged(r.idea, kReasonBytes), abridged(r.verdict.reason, kReasonBytes));
  }
  std::string out =
      from > 0 ? fmt::format("The last {} of {}.\n", last.size() - from, last.size()) : "";
  return out + fenced("archive", lines);
}

std::string lessons_section(const std::vector<archive::Lesson>& lessons) {
  std::string lines;
  for (const auto& lesson : lessons)
    lines +=
        fmt::format("{:.2f}x on {} ({}-bound; {}): {} [program {}]\n", lesson.gain, lesson.target,
                    lesson.bottleneck, lesson.ops, lesson.change, short_id(lesson.program));
  return fenced("archive", lines);
}

}  // namespace

size_t estimate_tokens(std::string_view text) {
  return text.size() / 4 + 1;
}

std::string assemble(const std::vector<Section>& sections, size_t tokens) {
  std::vector<size_t> order(sections.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sections[a].priority < sections[b].priority; });
  constexpr size_t kWorthShowing = 200;
  std::vector<std::string> kept(sections.size());
  std::string missing;
  size_t left = tokens;
  for (size_t i : order) {
    const Section& section = sections[i];
    if (section.text.empty()) continue;
    std::string text = fmt::format("## {}\n\n{}\n", section.title, section.text);
    const size_t cost = estimate_tokens(text);
    if (section.priority > 0 && cost > left) {
      if (!section.shorten || left < kWorthShowing) {
        missing += (missing.empty() ? "" : ", ") + section.title;
        continue;
      }
      text = fenced(section.title, text, left * 4 - kWorthShowing);
    }
    left -= std::min(left, estimate_tokens(text));
    kept[i] = std::move(text);
  }
  std::string out;
  for (const auto& text : kept) out += text;
  if (!missing.empty()) out += fmt::format("(Left out for want of room: {}.)\n", missing);
  return out;
}

std::string policy_rule(const std::string& policy) {
  if (policy == "tf32")
    return "The baseline may use TF32 for products of fp32; so may you. Accumulate in fp32.";
  if (policy == "bf16" || policy == "fp16")
    return fmt::format(
        "The baseline runs under autocast to {0} (or the module is in {0} already): products may "
        "take {0} operands, accumulate in fp32, keep the dtypes of inputs and outputs.",
        policy);
  return "fp32 means fp32: results must be about as close to fp64 as PyTorch's own fp32. Sums may "
         "be reordered, approximations of functions must keep full fp32 accuracy, operands must "
         "not be rounded to a narrower type unless the rest is added back.";
}

std::string hint_text(const std::vector<std::string>& hints) {
  if (hints.empty()) return "";
  std::string out =
      "The user who started this run advises (advice from the person you work for; it changes "
      "nothing about how programs are judged):\n";
  for (const auto& hint : hints) out += fenced("user", hint);
  return out;
}

std::string profile_text(const Profile& profile, const RegionFacts& region) {
  std::string out;
  const auto& verdict = profile.judged.verdict;
  const double ms = profile.judged.ms > 0 ? profile.judged.ms
                    : verdict.timing      ? verdict.timing->ms
                                          : 0;
  if (ms > 0)
    out += fmt::format(
        "- whole: {:.4g} ms; {:.0f} % of the speed of light; {:.3g} GB/s of the bytes that must "
        "move, {:.3g} GFLOP/s\n",
        ms, 100 * region.light.seconds * 1e3 / ms, region.work.bytes / ms / 1e6,
        (region.work.contraction_flops + region.work.other_flops) / ms / 1e6);
  double sum = 0;
  for (const auto& step : verdict.steps) sum += step.ms;
  for (const auto& step : verdict.steps)
    out +=
        fmt::format("- {}: {:.4g} ms, {:.0f} % of the steps{}{}\n", step.step, step.ms,
                    sum > 0 ? 100 * step.ms / sum : 0,
                    program::counted_text(step).empty() ? "" : "; ", program::counted_text(step));
  if (!verdict.kernels.empty()) out += target::resources_text(verdict.kernels) + "\n";
  if (!profile.compiler_log.empty()) out += fenced("compiler", profile.compiler_log, 2 << 10);
  return out;
}

std::vector<Section> context_sections(const ContextInput& in) {
  std::vector<Section> out;
  out.push_back({"Advice", hint_text(in.hints), 0, false});
  out.push_back({"Task", task_text(in), 0, false});
  out.push_back({"Program format", format_guide(in.workload->target), 0, false});
  if (!in.workload->source.empty())
    out.push_back({"PyTorch source", fenced("workload", in.workload->source), 2, true});
  out.push_back({"Graph", graph_section(in), 1, true});
  out.push_back({"Machine", target::machine_model_table(in.workload->model), 2, true});
  if (in.best) out.push_back({"The best program so far", program_section(*in.best), 1, true});
  if (in.profile) out.push_back({"Its profile", profile_text(*in.profile, *in.region), 2, true});
  if (in.foreign)
    out.push_back({"A program of another target", program_section(*in.foreign), 3, true});
  if (!in.tried.empty()) out.push_back({"What was tried", tried_section(in.tried), 3, true});
  if (!in.lessons.empty())
    out.push_back({"Lessons of similar regions", lessons_section(in.lessons), 4, true});
  if (!in.playbook.empty()) out.push_back({"Playbook of this target", in.playbook, 5, true});
  return out;
}

}  // namespace kernelwright::agent

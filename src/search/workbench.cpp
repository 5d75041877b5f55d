// SPDX-License-Identifier: Apache-2.0
#include "search/workbench.h"

#include <fmt/core.h>

#include "base/file.h"
#include "kernelwright/runtime.h"

namespace kernelwright::search {
namespace {

constexpr uint64_t kSourceLimit = 256 << 10;
constexpr double kLookSeconds = 0.05;
constexpr double kProfileSeconds = 1;

// The user's own text, when the workload is a Python file.
std::string source_of(const torch::WorkloadSpec& spec) {
  const size_t end = spec.path.find(".py");
  if (end == std::string::npos) return "";
  const auto text = base::read_file(spec.path.substr(0, end + 3), kSourceLimit);
  return text ? *text : "";
}

agent::RegionFacts facts_of(const graph::Graph& graph, const OpenedRegion& region) {
  agent::RegionFacts facts;
  facts.region = region.result.region;
  facts.stages = region.stages;
  facts.interface = referee::interface_of(graph, facts.region);
  facts.subject = region.subject;
  facts.ops = region.ops;
  facts.work = region.work;
  facts.light = region.light;
  facts.baselines_ms = region.baselines.ms;
  facts.best_baseline = region.baselines.best_name;
  facts.best_baseline_ms = region.baselines.best_ms;
  return facts;
}

agent::BestProgram best_of(const Contender& contender) {
  return {contender.prepared.id, contender.proposal.idea, contender.proposal.proposer,
          contender.ms};
}

Status go_on(const agent::Call& call) {
  if (call.stop()) return fail(ErrorKind::kInterrupted, "cancelled");
  return {};
}

}  // namespace

RunWorkbench::RunWorkbench(OpenedRun& run) : run_(run) {
  Session& session = run.session();
  facts_.name = short_name(session.imported.name);
  facts_.source = source_of(session.spec);
  facts_.target = session.target->kind();
  facts_.device = session.target->device_name();
  facts_.toolchain = session.target->toolchain_version();
  facts_.policy = target::policy_name(session.policy);
  facts_.features = kw_cpu_features();
  facts_.threads = session.threads;
  facts_.model = session.model;
  facts_.graph = session.imported.graph;
  for (const auto& region : run.regions())
    facts_.regions.push_back(facts_of(session.imported.graph, region));
  for (const auto& note : session.imported.graph.eager_notes)
    facts_.eager.emplace_back(note.what, note.reason);
  for (const auto& left : session.partition.eager)
    facts_.eager.emplace_back(session.imported.graph.nodes.at(static_cast<size_t>(left.node)).op,
                              left.reason);
}

Result<OpenedRegion*> RunWorkbench::find(const std::string& region) const {
  for (auto& one : run_.regions())
    if (one.result.region.id == region) return &one;
  return fail(ErrorKind::kUsage, fmt::format("no region '{}'", region));
}

std::optional<agent::BestProgram> RunWorkbench::best(const std::string& region) const {
  const auto found = find(region);
  if (!found || !(*found)->contest->best()) return std::nullopt;
  return best_of(*(*found)->contest->best());
}

Result<std::optional<agent::Judged>> RunWorkbench::judged_before(const OpenedRegion& region,
                                                                 const std::string& id) {
  if (!region.contest->known(id)) return std::optional<agent::Judged>();
  KW_TRY(auto records, run_.archive().verdicts_of_program(id));
  for (auto it = records.rbegin(); it != records.rend(); ++it) {
    if (it->subject != region.subject || (it->run != run_.id() && !run_.options().resume)) continue;
    agent::Judged judged;
    judged.program = id;
    judged.verdict = std::move(it->verdict);
    judged.known = true;
    const auto& best = region.contest->best();
    judged.best = best && best->prepared.id == id;
    if (judged.best) judged.ms = best->ms;
    return std::optional(std::move(judged));
  }
  return std::optional<agent::Judged>();
}

Result<agent::Judged> RunWorkbench::judge(const std::string& region,
                                          const program::Proposal& proposal, agent::Depth depth,
                                          const agent::Call& call) {
  KW_TRY(OpenedRegion * where, find(region));
  Contest& contest = *where->contest;
  KW_TRY(const auto unused, contest.take_up());
  (void)unused;
  const std::string id = program::candidate_id(proposal.candidate);
  if (depth == agent::Depth::kSubmit) {
    KW_TRY(auto before, judged_before(*where, id));
    if (before) return std::move(*before);
  }
  KW_CHECK_OK(go_on(call));
  call.tell(0, 2, "building");
  KW_TRY(auto prepared, contest.prepare({proposal.candidate}));
  KW_CHECK_OK(go_on(call));
  call.tell(1, 2, depth == agent::Depth::kSubmit ? "verifying and timing" : "verifying");
  agent::Judged judged;
  judged.program = id;
  if (depth == agent::Depth::kCheck) {
    KW_TRY(judged.verdict, contest.look(prepared.at(0), kLookSeconds));
    return judged;
  }
  if (contest.best()) judged.opponent = best_of(*contest.best());
  KW_TRY(const auto ruling, contest.rule(proposal, prepared.at(0), 0));
  judged.verdict = ruling.verdict;
  judged.ms = ruling.ms;
  judged.best = contest.best() && contest.best()->prepared.id == id;
  call.tell(2, 2, referee::verdict_name(judged.verdict.kind));
  return judged;
}

Result<agent::Profile> RunWorkbench::profile(const std::string& region,
                                             const program::Proposal& proposal,
                                             const agent::Call& call) {
  KW_TRY(OpenedRegion * where, find(region));
  KW_CHECK_OK(go_on(call));
  call.tell(0, 2, "building");
  KW_TRY(auto prepared, where->contest->prepare({proposal.candidate}));
  KW_CHECK_OK(go_on(call));
  call.tell(1, 2, "timing");
  agent::Profile profile;
  profile.judged.program = prepared.at(0).id;
  if (prepared[0].object) profile.compiler_log = prepared[0].object->compiler_log;
  KW_TRY(profile.judged.verdict, where->contest->look(prepared[0], kProfileSeconds));
  return profile;
}

}  // namespace kernelwright::search

// SPDX-License-Identifier: Apache-2.0
#include "agent/ideas.h"

#include <algorithm>

namespace kernelwright::agent {
namespace {

bool heavy(const IdeaFacts& facts) {
  return facts.contractions > 0 || facts.reductions > 0;
}

}  // namespace

const std::vector<Idea>& idea_table() {
  static const std::vector<Idea> table = {
      {"fuse",
       "Fuse: compute several ops in one launch, so that intermediate tensors stay in registers or "
       "in the nearest cache and are never written to memory. Put elementwise ops into the "
       "epilogue "
       "or the prologue of the op beside them.",
       "more than one op", [](const IdeaFacts& f) { return f.ops > 1; }, 0, 3},
      {"retile",
       "Retile: choose other tile sizes, loop orders, vector widths, unrolling, and another split "
       "of the work over threads, so that each level of the memory is read as seldom as possible "
       "and all units are busy. Make the tile sizes params.",
       "a contraction, a reduction, or a program to start from",
       [](const IdeaFacts& f) { return heavy(f) || f.launches > 0; }, 3, 0},
      {"precision",
       "Change the precision split: use the fastest units that the policy allows. Under `strict`, "
       "split operands into high and low parts and sum several products, promoting partial sums "
       "often; under the other policies take the narrow type as it is and accumulate in fp32.",
       "a contraction, and units beside plain fp32",
       [](const IdeaFacts& f) {
         return f.contractions > 0 && (f.target != "cpu" || f.policy != "strict");
       },
       6, 1},
      {"algorithm",
       "Change the algorithm: another way to the same result that does less work or reads less. "
       "Examples: one pass instead of two (online softmax, merged moments), Winograd or implicit "
       "matrix product for convolutions, a blocked scan, a tree instead of a chain.",
       "a contraction or a reduction", heavy, 4, 2},
      {"rewrite",
       "Rewrite the graph: use algebra before writing loops. Fold constants and weights in "
       "`prepare`, drop what has no effect, move cheap ops before expensive broadcasts, share "
       "subexpressions, reorder linear ops so that less is computed.",
       "more than two ops", [](const IdeaFacts& f) { return f.ops > 2; }, 1, 4},
      {"port",
       "Port: a program or lesson of another target is shown below. Carry over what made it fast, "
       "in the terms of this target, and leave behind what this hardware does not reward.",
       "a program or a lesson of another target is known",
       [](const IdeaFacts& f) { return f.other_target; }, 5, 5},
      {"specialize",
       "Specialize: everything is known before the kernel is compiled. Make shapes constants, drop "
       "every tail that cannot occur, pack weights in `prepare` into the order in which they are "
       "read, use the widest vectors and the instructions of exactly this device.",
       "always", [](const IdeaFacts&) { return true; }, 2, 6},
  };
  return table;
}

const Idea* find_idea(const std::string& name) {
  for (const Idea& idea : idea_table())
    if (name == idea.name) return &idea;
  return nullptr;
}

std::vector<const Idea*> ideas_for(const IdeaFacts& facts) {
  std::vector<const Idea*> found;
  for (const Idea& idea : idea_table())
    if (idea.applies(facts)) found.push_back(&idea);
  std::stable_sort(found.begin(), found.end(), [&](const Idea* a, const Idea* b) {
    return facts.memory_bound ? a->memory_rank < b->memory_rank : a->compute_rank < b->compute_rank;
  });
  return found;
}

IdeaFacts idea_facts(const WorkloadFacts& workload, const RegionFacts& region, int launches,
                     bool other_target) {
  IdeaFacts facts;
  facts.ops = static_cast<int>(region.region.nodes.size());
  for (const auto& stage : region.stages.stages) {
    if (stage.reduce.empty()) continue;
    const graph::Work work = graph::count_stage_work(region.stages, stage);
    ++(work.contraction_flops > 0 ? facts.contractions : facts.reductions);
  }
  facts.launches = launches;
  facts.memory_bound = std::string(region.light.bound) == "memory";
  facts.other_target = other_target;
  facts.target = workload.target;
  facts.policy = workload.policy;
  return facts;
}

}  // namespace kernelwright::agent

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/analysis.h"
#include "graph/stage.h"

namespace kernelwright::rewrite {

// Algebra on a stage graph. A rule looks at one stage (and at what it reads) and gives the graph as
// it would be with the rule applied there. Its condition and why it holds stand beside its code
// (rules_points.cpp, rules_sums.cpp).
struct Rule {
  const char* name;
  // True bit for bit and for all inputs, NaN and infinities among them. Other rules round in
  // another order and hold where all sums and products are finite; they are used when they pay.
  bool exact;
  // `fixed`: from_weights of the graph, worked out once for all stages.
  std::optional<graph::StageGraph> (*apply)(const graph::StageGraph& graph, size_t stage,
                                            const std::vector<bool>& fixed);
};
const std::vector<Rule>& rules();
void add_point_rules(std::vector<Rule>& rules);
void add_sum_rules(std::vector<Rule>& rules);

struct RuleOptions {
  graph::Ceilings ceilings;  // of the machine
  double launch_s = 0;       // what one more kernel costs
  bool rounding = true;      // also rules that round in another order
  bool always = false;       // wherever they hold, also where they do not pay
};

// Where a rule was used: the node that the stage came from.
struct Applied {
  std::string rule, where;
};

struct Rewritten {
  graph::StageGraph graph;
  std::vector<Applied> applied;  // in order
  bool rounding = false;         // some of them round in another order
};

// Applies rules until none holds (and pays). Pointwise stages are inlined on the way, stages that
// nothing reads are dropped.
Rewritten apply_rules(const graph::StageGraph& graph, const RuleOptions& options);

// The work of a region in the form that needs least time of those known: as it came, or rewritten,
// without what is made of weights once, convolutions by minimal filtering (convolution.h). What a
// bound on its time may count: speed of light, "faster than light", report and agents' context.
graph::Work least_work(const graph::StageGraph& graph, const graph::Ceilings& ceilings);

}  // namespace kernelwright::rewrite

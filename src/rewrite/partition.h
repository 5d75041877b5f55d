// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace kernelwright::rewrite {

// A node that stays in eager, and why ("op outside the table: aten.sort.default").
struct LeftInEager {
  int node = -1;
  std::string reason;
};

struct Partition {
  std::vector<graph::Region> regions;
  std::vector<LeftInEager> eager;
};

// Cuts a graph into regions: one region with every node when all ops are in the table, otherwise
// the fewest convex groups of supported nodes (no path leaves a group and comes back), each with
// its inputs, weights, outputs and mutations. Groups of layout ops alone stay in eager.
Partition partition(const graph::Graph& graph);

}  // namespace kernelwright::rewrite

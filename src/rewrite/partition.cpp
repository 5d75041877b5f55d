// SPDX-License-Identifier: Apache-2.0
#include "rewrite/partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "graph/op_table.h"
#include "graph/stage.h"

namespace kernelwright::rewrite {
namespace {

using graph::Graph;
using graph::Node;
using graph::Region;
using graph::ValueRole;

void push_unique(std::vector<int>& list, int value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

// Everything that a region of these nodes reads and hands on.
Region region_of(const Graph& graph, std::vector<int> nodes, const std::string& id) {
  Region region;
  region.id = id;
  region.nodes = std::move(nodes);
  const std::set<int> inside(region.nodes.begin(), region.nodes.end());
  for (int n : region.nodes) {
    for (int value : node_operands(graph.nodes[static_cast<size_t>(n)])) {
      const auto& v = graph.value(value);
      if (v.role == ValueRole::kWeight)
        push_unique(region.weights, value);
      else if (v.role == ValueRole::kInput || !inside.contains(v.producer))
        push_unique(region.inputs, value);
    }
  }
  std::set<int> wanted;
  for (size_t n = 0; n < graph.nodes.size(); ++n)
    if (!inside.contains(static_cast<int>(n)))
      for (int value : node_operands(graph.nodes[n])) wanted.insert(value);
  for (const auto& output : graph.outputs) wanted.insert(output.value);
  for (const auto& part : graph.parts)
    for (const auto& output : part.outputs) wanted.insert(output.value);
  for (int n : region.nodes)
    for (int value : graph.nodes[static_cast<size_t>(n)].outputs)
      if (value >= 0 && wanted.contains(value)) region.outputs.push_back(value);
  for (const auto& mutation : graph.mutations) {
    const int producer = graph.value(mutation.value).producer;
    if (producer < 0 || !inside.contains(producer)) continue;
    region.mutations.push_back(mutation);
    for (int weight : graph.weights)
      if (graph.value(weight).weight_name == mutation.weight_name)
        push_unique(region.weights, weight);
  }
  return region;
}

// The module as it is: all inputs and weights, every output that it makes once, in the graph's
// order. An input or a weight among the outputs is not made: the drop-in hands back the tensor
// itself.
Region whole_region(const Graph& graph) {
  Region region;
  region.id = "r0";
  region.whole = true;
  for (size_t n = 0; n < graph.nodes.size(); ++n) region.nodes.push_back(static_cast<int>(n));
  region.inputs = graph.inputs;
  region.weights = graph.weights;
  for (const auto& output : graph.outputs)
    if (output.value >= 0 && graph.value(output.value).producer >= 0)
      push_unique(region.outputs, output.value);
  region.mutations = graph.mutations;
  return region;
}

// Why a node cannot be in a region; empty when it can.
std::string obstacle(const Graph& graph, int index) {
  const Node& node = graph.nodes[static_cast<size_t>(index)];
  if (!graph::find_op(node.op)) return "op outside the table: " + node.op;
  auto lowered = graph::lower(graph, region_of(graph, {index}, "probe"));
  return lowered ? std::string() : lowered.error().text();
}

}  // namespace

Partition partition(const Graph& graph) {
  Partition out;
  const size_t count = graph.nodes.size();
  std::vector<bool> supported(count);
  for (size_t n = 0; n < count; ++n) {
    const std::string reason = obstacle(graph, static_cast<int>(n));
    supported[n] = reason.empty();
    if (!supported[n]) out.eager.push_back({static_cast<int>(n), reason});
  }
  if (count == 0) return out;
  if (graph.whole && out.eager.empty()) {
    Region whole = whole_region(graph);
    if (!whole.outputs.empty() || !whole.mutations.empty()) out.regions.push_back(std::move(whole));
    return out;
  }

  // Level of a node: how many eager nodes lie at most on a path to it. Levels never fall along a
  // path, so the nodes of one level are convex.
  std::vector<int> level(count, 0);
  std::map<std::pair<int, int>, std::vector<int>> groups;  // (part, level)
  for (size_t n = 0; n < count; ++n) {
    for (int value : node_operands(graph.nodes[n])) {
      const int producer = graph.value(value).producer;
      if (producer < 0) continue;
      const size_t p = static_cast<size_t>(producer);
      level[n] = std::max(level[n], level[p] + (supported[p] ? 0 : 1));
    }
    if (supported[n]) groups[{graph.nodes[n].part, level[n]}].push_back(static_cast<int>(n));
  }
  for (const auto& [key, nodes] : groups) {
    const bool only_moves = std::all_of(nodes.begin(), nodes.end(), [&](int n) {
      return graph::find_op(graph.nodes[static_cast<size_t>(n)].op)->op_class ==
             graph::OpClass::kMove;
    });
    if (only_moves) {
      for (int n : nodes)
        out.eager.push_back({n, "only moves data between ops that stay in eager"});
      continue;
    }
    Region region = region_of(graph, nodes, fmt::format("r{}", out.regions.size()));
    if (!region.outputs.empty() || !region.mutations.empty())
      out.regions.push_back(std::move(region));
  }
  std::sort(out.eager.begin(), out.eager.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });
  return out;
}

}  // namespace kernelwright::rewrite

// SPDX-License-Identifier: Apache-2.0
#include "rewrite/fuse.h"

#include <algorithm>

#include "rewrite/nest.h"

namespace kernelwright::rewrite {

using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::Stage;

namespace {

void add_unique(std::vector<int>& list, int value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

std::vector<int> loads_of(const Stage& stage) {
  std::vector<int> tensors;
  for (const Expr& expr : {stage.body, stage.finish}) {
    if (!expr) continue;
    graph::visit(expr, [&](const ExprNode& node) {
      if (node.op == ExprOp::kLoad) add_unique(tensors, node.tensor);
    });
  }
  return tensors;
}

FusedOp single(const Stage& stage) {
  FusedOp op;
  op.anchor = stage.combiner == Combiner::kNone ? Anchor::kPointwise : Anchor::kReduction;
  op.stages = {stage};
  op.inputs = loads_of(stage);
  op.outputs = {stage.output};
  return op;
}

}  // namespace

FusedGraph fuse(const graph::StageGraph& graph, const FuseOptions& options) {
  FusedGraph fused;
  fused.tensors = graph.tensors;
  for (const Stage& stage : graph.stages) fused.ops.push_back(single(stage));
  return fused;
}

}  // namespace kernelwright::rewrite

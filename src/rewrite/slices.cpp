// SPDX-License-Identifier: Apache-2.0
#include "rewrite/slices.h"

#include "rewrite/contraction.h"

namespace kernelwright::rewrite {

using graph::Combiner;
using graph::DType;
using graph::Expr;
using graph::Stage;
using graph::StageTensor;

namespace {

constexpr int64_t kMostSlices = 64;
constexpr int64_t kEnoughSlices = 16;  // for the workers of a socket to share

}  // namespace

void split_long_reductions(std::vector<Stage>& stages, std::vector<StageTensor>& tensors,
                           int64_t few_rows) {
  for (size_t i = 0; i < stages.size(); ++i) {
    const Stage stage = stages[i];
    const bool arg = stage.combiner == Combiner::kArgMax || stage.combiner == Combiner::kArgMin;
    if (stage.combiner == Combiner::kNone || arg || stage.loop >= 0 ||
        match_contraction(stage, tensors))
      continue;
    const StageTensor output = tensors[static_cast<size_t>(stage.output)];
    if (output.type.elements() >= few_rows || output.type.elements() == 0 ||
        graph::element_count(stage.reduce) < 4 * kLongRow)
      continue;
    // The outermost axis that has enough: slices of an inner one are strips, far apart in memory.
    size_t axis = 0;
    int64_t slices = 1;
    for (size_t a = 0; a < stage.reduce.size() && slices < kEnoughSlices; ++a) {
      for (int64_t count = kMostSlices; count > slices; --count) {
        if (stage.reduce[a] % count != 0) continue;
        slices = count;
        axis = a;
      }
    }
    if (slices < 4) continue;
    const int rank = static_cast<int>(output.type.shape.size());
    const graph::ScalarKind kind = stage.body->kind;
    StageTensor partial;
    partial.name = output.name + ".partial";
    partial.type.dtype = kind == graph::ScalarKind::kInt    ? DType::kI64
                         : kind == graph::ScalarKind::kBool ? DType::kBool
                         : output.type.dtype == DType::kF64 ? DType::kF64
                                                            : DType::kF32;
    partial.type.shape = output.type.shape;
    partial.type.shape.push_back(slices);
    Stage first = stage;
    first.output = static_cast<int>(tensors.size());
    tensors.push_back(partial);
    first.finish = nullptr;
    first.reduce[axis] /= slices;
    std::vector<Expr> axes;
    for (int a = 0; a < rank; ++a) axes.push_back(graph::axis(a));
    for (size_t a = 0; a < stage.reduce.size(); ++a) {
      Expr moved = graph::axis(rank + 1 + static_cast<int>(a));
      if (a == axis) moved = graph::axis(rank) * graph::integer(first.reduce[axis]) + moved;
      axes.push_back(moved);
    }
    std::vector<int64_t> extents = partial.type.shape;
    extents.insert(extents.end(), first.reduce.begin(), first.reduce.end());
    first.body = graph::simplify_index(graph::substitute_axes(stage.body, axes), extents);
    Stage last = stage;
    last.reduce = {slices};
    std::vector<Expr> index;
    for (int a = 0; a <= rank; ++a) index.push_back(graph::axis(a));
    last.body = graph::load(first.output, kind, index);
    stages[i] = std::move(last);
    stages.insert(stages.begin() + static_cast<std::ptrdiff_t>(i), std::move(first));
    ++i;
  }
}

}  // namespace kernelwright::rewrite

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "graph/stage.h"

namespace kernelwright::rewrite {

// A stage as a loop nest over addresses. Every load has one index, the element offset in its
// buffer; axes that indices take apart (i / 8, i % 8) are split, neighbours that no index tells
// apart are merged.
struct Nest {
  std::vector<int64_t> extents;  // output axes first, then reduction axes
  int outer = 0;                 // how many of them are output axes
  graph::Combiner combiner = graph::Combiner::kNone;
  graph::Expr body;
  graph::Expr finish;             // null: none
  int output = -1;                // tensor written
  graph::Expr store;              // element offset of the output
  std::vector<graph::Expr> also;  // further expressions over the same axes, kept in step
  std::string origin;

  int rank() const { return static_cast<int>(extents.size()); }
  int64_t outer_points() const;
  int64_t reduce_points() const;
};

// `merge` false keeps neighbouring axes apart, for callers that match axes of several stages first.
// `also`: expressions over the stage's axes that become Nest::also.
Nest make_nest(const graph::Stage& stage, const std::vector<graph::StageTensor>& tensors,
               bool merge = true, const std::vector<graph::Expr>& also = {});
void merge_axes(Nest& nest);
// Whether axes `axis` and `axis` + 1 are one to everything that reads them; and makes them one.
bool can_merge(const Nest& nest, int axis);
void merge(Nest& nest, int axis);
// Splits axis `axis` into two: extent / inner, and inner. `inner` divides the extent.
void split_axis(Nest& nest, int axis, int64_t inner);
// Renumbers axes: new axis i is old axis order[i]. Output axes must stay before reduction axes.
void permute_axes(Nest& nest, const std::vector<int>& order);

// Affine form of an index over the nest's axes, when it has one.
std::optional<graph::Affine> affine_of(const Nest& nest, const graph::Expr& index);
// Calls `use` on every largest affine integer expression within an expression.
void visit_affine(const graph::Expr& expr, int rank,
                  const std::function<void(const graph::Affine&)>& use);
// Which axes an expression depends on.
std::vector<bool> axes_used(const graph::Expr& expr, int rank);
// Element strides of a stored tensor.
std::vector<int64_t> strides_of(const graph::StageTensor& tensor);
// Weighted count of arithmetic in an expression, index arithmetic left out: about 1 per add or
// multiply, 12 per transcendental function.
double arithmetic_cost(const graph::Expr& expr);

}  // namespace kernelwright::rewrite

// SPDX-License-Identifier: Apache-2.0
#include "rewrite/contraction.h"

#include <algorithm>

#include "rewrite/terms.h"

namespace kernelwright::rewrite {

using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;

int64_t Contraction::extent(const std::vector<int>& axes) const {
  int64_t product = 1;
  for (int axis : axes) product *= nest.extents[static_cast<size_t>(axis)];
  return product;
}

namespace {

constexpr int64_t kShortAxis = 8;  // columns that would not fill a vector

// The output axis that columns run along: the innermost one. But where that one is short, as the
// phases of a transposed convolution are, and the next in memory is read contiguously by a factor
// that does not depend on the short one: that next one.
size_t column_axis(const Nest& nest, const std::vector<Expr>& factors) {
  const auto inner = static_cast<size_t>(nest.outer) - 1;
  const auto store = affine_of(nest, nest.store);
  if (nest.extents[inner] >= kShortAxis || !store || store->coefficients[inner] != 1) return inner;
  for (size_t axis = inner; axis-- > 0;) {
    if (store->coefficients[axis] != nest.extents[inner]) continue;
    if (nest.extents[axis] < kShortAxis) return inner;
    for (const Expr& factor : factors) {
      if (axes_used(factor, nest.rank())[inner]) continue;
      bool contiguous = false;
      graph::visit(factor, [&](const ExprNode& node) {
        if (node.op != ExprOp::kLoad) return;
        const auto at = affine_of(nest, node.operands[0]);
        contiguous = contiguous || (at && at->coefficients[axis] == 1);
      });
      if (contiguous) return axis;
    }
  }
  return inner;
}

}  // namespace

std::optional<Contraction> match_contraction(const graph::Stage& stage,
                                             const std::vector<graph::StageTensor>& tensors) {
  if (stage.combiner != graph::Combiner::kSum || stage.body->kind != ScalarKind::kReal ||
      stage.reduce.empty())
    return std::nullopt;
  Contraction c;
  c.nest = make_nest(stage, tensors);
  const int rank = c.nest.rank();
  std::vector<Expr> factors;
  collect_factors(c.nest.body, factors);
  std::vector<Expr> with_loads;
  Expr plain;
  for (const Expr& factor : factors) {
    if (has_loads(factor))
      with_loads.push_back(factor);
    else
      plain = plain ? plain * factor : factor;
  }
  if (with_loads.size() < 2) return std::nullopt;
  // The factor that uses the columns' axis is B, as are others that use no axis of their own.
  std::vector<std::vector<bool>> used;
  for (const Expr& factor : with_loads) used.push_back(axes_used(factor, rank));
  if (c.nest.outer == 0) return std::nullopt;
  const size_t inner = column_axis(c.nest, with_loads);
  size_t b = with_loads.size();
  for (size_t i = 0; i < with_loads.size(); ++i) {
    if (used[i][inner] && b == with_loads.size()) b = i;
  }
  if (b == with_loads.size()) return std::nullopt;
  // Two groups: what shares an output axis with B that not everything has, goes to B.
  c.b = with_loads[b];
  for (size_t i = 0; i < with_loads.size(); ++i) {
    if (i == b) continue;
    bool with_b = used[i][inner];
    if (with_loads.size() == 2) with_b = false;
    if (with_b)
      c.b = c.b * with_loads[i];
    else
      c.a = c.a ? c.a * with_loads[i] : with_loads[i];
  }
  if (!c.a) return std::nullopt;
  if (plain) c.a = c.a * plain;
  const auto in_a = axes_used(c.a, rank), in_b = axes_used(c.b, rank);
  for (int axis = 0; axis < rank; ++axis) {
    const auto at = static_cast<size_t>(axis);
    if (axis >= c.nest.outer) {
      c.k.push_back(axis);
    } else if (in_a[at] && in_b[at]) {
      c.batch.push_back(axis);
    } else if (in_a[at]) {
      c.m.push_back(axis);
    } else {
      c.n.push_back(axis);
    }
  }
  if (c.n.empty() && c.m.empty()) return std::nullopt;
  return c;
}

}  // namespace kernelwright::rewrite

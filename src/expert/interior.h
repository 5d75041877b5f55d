// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "graph/expr.h"

namespace kernelwright::expert {

// An expression without the conditions that hold for `axis` in [low, high), wherever all of
// `invariant` (conditions on other axes) hold too. With nothing to drop, `body` is the expression
// itself and the interval is everything.
struct Interior {
  graph::Expr body;
  int64_t low = 0, high = 0;
  std::vector<graph::Expr> invariant;
  bool simpler = false;
};

// A conjunction of comparisons of integers as "each of these is at least zero"; nullopt when it is
// something else.
std::optional<std::vector<graph::Affine>> bounds_of(const graph::Expr& condition, int rank);

Interior interior_of(const graph::Expr& body, int axis, const std::vector<int64_t>& extents);

}  // namespace kernelwright::expert

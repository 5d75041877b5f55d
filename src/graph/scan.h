// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "graph/stage.h"

namespace kernelwright::graph {

// A running value (cumsum and the like) among reductions: one reduction axis r, of which each
// point of the output takes a part that grows with output axis i,
//   body = r <= direction * i + offset ? value : neutral      (or r >= ..., `suffix`)
// and `value` does not depend on i. So a row is made in one pass: the next element is the last one
// combined with what has come in.
struct Scan {
  int along = -1;  // axis i
  int over = -1;   // axis r
  bool suffix = false;
  int direction = 1;  // 1 or -1
  int64_t offset = 0;
  Expr value;

  // Row element number `step` of the pass is i = step, or (falling) i = extent - 1 - step.
  bool falling() const { return (direction < 0) != suffix; }
  // Whether step k takes in exactly one element: r = k, or (suffix) r = extent - 1 - k.
  bool in_step(const std::vector<int64_t>& extents) const;
};

// `extents`: of all axes, of which the first `outer` are output axes.
std::optional<Scan> match_scan(Combiner combiner, const Expr& body,
                               const std::vector<int64_t>& extents, int outer);

// What leaves a combiner's result as it is; null for argmax and argmin.
Expr neutral_element(Combiner combiner, ScalarKind kind);

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "graph/expr.h"

namespace kernelwright::expert {

// Divisions of many elements by one value as products with its reciprocal, which is made once: a
// vector division takes as long as ten products. The quotient is rounded twice more, so where a
// branch hangs on it the answer may be another one: a knob, and the referee decides.

// Whether all elements at hand share a value.
using SharedBy = std::function<bool(const graph::Expr&)>;

bool divides_by_shared(const graph::Expr& expr, const SharedBy& shared);
// In f32, whatever the divisor: very small and very large ones are first brought near 1 by a power
// of two, and dividends with them, which is exact but for quotients beyond the range of normal
// numbers.
graph::Expr with_reciprocals(const graph::Expr& expr, const SharedBy& shared);

}  // namespace kernelwright::expert

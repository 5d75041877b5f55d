// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "graph/stage.h"

// What rewrite rules take expressions apart with.
namespace kernelwright::rewrite {

// Tensors whose values follow from weights alone, by index: weights that forward leaves as they
// are, and temporaries made of such.
std::vector<bool> from_weights(const std::vector<graph::StageTensor>& tensors,
                               const std::vector<graph::Stage>& stages);
// Whether all that an expression loads is marked; true for an expression without loads.
bool loads_only(const graph::Expr& expr, const std::vector<bool>& marked);
bool has_loads(const graph::Expr& expr);

// Factors of a product, casts to f32 between them left out.
void collect_factors(const graph::Expr& expr, std::vector<graph::Expr>& factors);
// Their product; null for none.
graph::Expr product(const std::vector<graph::Expr>& factors);
// Sums and products in which null stands for 0 and 1.
graph::Expr plus(const graph::Expr& a, const graph::Expr& b);
graph::Expr times(const graph::Expr& a, const graph::Expr& b);

// expr = scale * v + shift, v the only node for which `variable` holds; neither part contains it.
// Null stands for 1 and 0. Casts of reals to f32 and f64 on the way are taken as exact.
struct LinearForm {
  graph::Expr scale, shift;
};
using IsVariable = std::function<bool(const graph::ExprNode&)>;
std::optional<LinearForm> linear_in(const graph::Expr& expr, const IsVariable& variable);

// What a reader sees of a value that was stored: rounded to the tensor's type.
graph::Expr as_stored(const graph::Expr& value, graph::DType dtype);

// Axes below `count` that an expression depends on, in ascending order.
std::vector<int> axes_of(const graph::Expr& expr, int count);

// Defines a temporary that holds `value` over all its axes but `summed`, over which it is summed,
// and gives the load that stands for it. `extents` are those of value's axes. The stage goes in
// front of stage `at`, which moves up by one.
graph::Expr store(graph::StageGraph& graph, size_t& at, const graph::Expr& value,
                  const std::vector<int>& summed, const std::vector<int64_t>& extents);

// Stages that read a tensor.
std::vector<size_t> readers_of(const std::vector<graph::Stage>& stages, int tensor);
// Removes stages that reach neither an output nor a state.
void drop_dead(graph::StageGraph& graph);

}  // namespace kernelwright::rewrite

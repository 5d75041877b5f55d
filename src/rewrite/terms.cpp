// SPDX-License-Identifier: Apache-2.0
#include "rewrite/terms.h"

#include <algorithm>
#include <set>

#include "graph/loop.h"
#include "rewrite/nest.h"

namespace kernelwright::rewrite {

using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;
using graph::Stage;
using graph::StageTensor;
using graph::TensorRole;

namespace {

bool contains(const Expr& expr, const IsVariable& variable) {
  bool found = false;
  graph::visit(expr, [&](const ExprNode& node) { found = found || variable(node); });
  return found;
}

bool stage_loads_only(const Stage& stage, const std::vector<bool>& marked) {
  return loads_only(stage.body, marked) && (!stage.finish || loads_only(stage.finish, marked));
}

// Axes in the order in which loads name them, so that what is stored lies like what it is made of.
std::vector<int> axes_by_loads(const Expr& value, int count) {
  std::vector<int> order;
  auto add = [&](const Expr& expr) {
    for (int axis : axes_of(expr, count))
      if (std::find(order.begin(), order.end(), axis) == order.end()) order.push_back(axis);
  };
  size_t most = 0;
  for (const bool largest : {true, false}) {
    graph::visit(value, [&](const ExprNode& node) {
      if (node.op == ExprOp::kLoad) most = std::max(most, node.operands.size());
    });
    graph::visit(value, [&](const ExprNode& node) {
      if (node.op != ExprOp::kLoad || (largest && node.operands.size() < most)) return;
      for (const Expr& index : node.operands) add(index);
    });
  }
  add(value);
  return order;
}

}  // namespace

std::vector<bool> from_weights(const std::vector<StageTensor>& tensors,
                               const std::vector<Stage>& stages) {
  std::vector<bool> fixed(tensors.size(), false);
  std::set<std::string> changing;
  for (const StageTensor& tensor : tensors)
    if (tensor.role == TensorRole::kState) changing.insert(tensor.weight_name);
  for (size_t t = 0; t < tensors.size(); ++t)
    fixed[t] =
        tensors[t].role == TensorRole::kWeight && changing.count(tensors[t].weight_name) == 0;
  for (const Stage& stage : stages) {
    const auto out = static_cast<size_t>(stage.output);
    fixed[out] = tensors[out].role == TensorRole::kTemporary && stage_loads_only(stage, fixed);
  }
  return fixed;
}

bool loads_only(const Expr& expr, const std::vector<bool>& marked) {
  return !contains(expr, [&](const ExprNode& node) {
    return node.op == ExprOp::kLoad && !marked[static_cast<size_t>(node.tensor)];
  });
}

bool has_loads(const Expr& expr) {
  return contains(expr, [](const ExprNode& node) { return node.op == ExprOp::kLoad; });
}

void collect_factors(const Expr& expr, std::vector<Expr>& factors) {
  if (expr->op == ExprOp::kMul) {
    collect_factors(expr->operands[0], factors);
    collect_factors(expr->operands[1], factors);
    return;
  }
  if (expr->op == ExprOp::kCast && expr->dtype == graph::DType::kF32 &&
      expr->operands[0]->kind == ScalarKind::kReal && expr->operands[0]->op == ExprOp::kMul) {
    collect_factors(expr->operands[0], factors);
    return;
  }
  factors.push_back(expr);
}

Expr product(const std::vector<Expr>& factors) {
  Expr out;
  for (const Expr& factor : factors) out = times(out, factor);
  return out;
}

Expr plus(const Expr& a, const Expr& b) {
  return !a ? b : !b ? a : a + b;
}
Expr times(const Expr& a, const Expr& b) {
  return !a ? b : !b ? a : a * b;
}

Expr as_stored(const Expr& value, graph::DType dtype) {
  using graph::DType;
  if (dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kI64 || dtype == DType::kBool)
    return value;
  return graph::cast(dtype, value);
}

std::optional<LinearForm> linear_in(const Expr& expr, const IsVariable& variable) {
  if (variable(*expr)) return LinearForm{};
  if (expr->kind != ScalarKind::kReal || expr->operands.empty()) return std::nullopt;
  const Expr& a = expr->operands[0];
  if (expr->op == ExprOp::kNeg) {
    auto form = linear_in(a, variable);
    if (form) form->scale = times(graph::constant(-1), form->scale);
    if (form && form->shift) form->shift = graph::unary(ExprOp::kNeg, form->shift);
    return form;
  }
  if (expr->op == ExprOp::kCast) {
    const bool wide = expr->dtype == graph::DType::kF32 || expr->dtype == graph::DType::kF64;
    return wide && a->kind == ScalarKind::kReal ? linear_in(a, variable) : std::nullopt;
  }
  const bool add = expr->op == ExprOp::kAdd, sub = expr->op == ExprOp::kSub;
  const bool mul = expr->op == ExprOp::kMul, div = expr->op == ExprOp::kDiv;
  if (!add && !sub && !mul && !div) return std::nullopt;
  const Expr& b = expr->operands[1];
  const bool left = contains(a, variable);
  if (left == contains(b, variable) || (div && !left)) return std::nullopt;
  auto form = linear_in(left ? a : b, variable);
  if (!form) return form;
  const Expr& other = left ? b : a;
  const Expr minus = graph::constant(-1);
  if (mul) {
    form->scale = times(form->scale, other);
    if (form->shift) form->shift = form->shift * other;
  } else if (div) {
    auto over = [&](const Expr& e) { return graph::binary(ExprOp::kDiv, e, other); };
    form->scale = over(form->scale ? form->scale : graph::constant(1));
    if (form->shift) form->shift = over(form->shift);
  } else if (add || left) {
    form->shift = plus(form->shift, add ? other : minus * other);
  } else {
    form->scale = times(minus, form->scale);
    form->shift = form->shift ? other - form->shift : other;
  }
  return form;
}

std::vector<int> axes_of(const Expr& expr, int count) {
  const auto used = axes_used(expr, count);
  std::vector<int> axes;
  for (int a = 0; a < count; ++a)
    if (used[static_cast<size_t>(a)]) axes.push_back(a);
  return axes;
}

Expr store(graph::StageGraph& graph, size_t& at, const Expr& value, const std::vector<int>& summed,
           const std::vector<int64_t>& extents) {
  const int count = static_cast<int>(extents.size());
  std::vector<Expr> axes(extents.size(), graph::integer(0)), index;
  std::vector<int64_t> own;
  StageTensor tensor;
  for (int a : axes_by_loads(value, count)) {
    if (std::find(summed.begin(), summed.end(), a) != summed.end()) continue;
    axes[static_cast<size_t>(a)] = graph::axis(static_cast<int>(own.size()));
    own.push_back(extents[static_cast<size_t>(a)]);
    index.push_back(graph::axis(a));
  }
  const Stage& reader = graph.stages[at];
  tensor.type.shape = own;
  tensor.type.dtype = graph.tensors[static_cast<size_t>(reader.output)].type.dtype;
  tensor.name = reader.origin + ".part";
  Stage stage;
  stage.origin = reader.origin;
  stage.combiner = summed.empty() ? graph::Combiner::kNone : graph::Combiner::kSum;
  for (int a : summed) {
    axes[static_cast<size_t>(a)] = graph::axis(static_cast<int>(own.size()));
    own.push_back(extents[static_cast<size_t>(a)]);
    stage.reduce.push_back(own.back());
  }
  stage.body = graph::simplify_index(graph::substitute_axes(value, axes), own);
  stage.output = graph.add_tensor(std::move(tensor));
  const int made = stage.output;
  graph.stages.insert(graph.stages.begin() + static_cast<std::ptrdiff_t>(at), std::move(stage));
  ++at;
  return graph::load(made, ScalarKind::kReal, index);
}

std::vector<size_t> readers_of(const std::vector<Stage>& stages, int tensor) {
  std::vector<size_t> found;
  const auto reads = [&](const Expr& expr) {
    return expr && contains(expr, [&](const ExprNode& node) {
             return node.op == ExprOp::kLoad && node.tensor == tensor;
           });
  };
  for (size_t i = 0; i < stages.size(); ++i)
    if (reads(stages[i].body) || reads(stages[i].finish)) found.push_back(i);
  return found;
}

void drop_dead(graph::StageGraph& graph) {
  const std::vector<bool> live = graph::live_tensors(graph.stages, graph.tensors);
  std::erase_if(graph.stages,
                [&](const Stage& stage) { return !live[static_cast<size_t>(stage.output)]; });
}

}  // namespace kernelwright::rewrite

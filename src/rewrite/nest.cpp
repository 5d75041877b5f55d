// SPDX-License-Identifier: Apache-2.0
#include "rewrite/nest.h"

#include <functional>
#include <unordered_set>

namespace kernelwright::rewrite {

using graph::Affine;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;

int64_t Nest::outer_points() const {
  int64_t points = 1;
  for (int a = 0; a < outer; ++a) points *= extents[static_cast<size_t>(a)];
  return points;
}

int64_t Nest::reduce_points() const {
  int64_t points = 1;
  for (int a = outer; a < rank(); ++a) points *= extents[static_cast<size_t>(a)];
  return points;
}

std::vector<int64_t> strides_of(const graph::StageTensor& tensor) {
  return tensor.type.strides.empty() ? graph::contiguous_strides(tensor.type.shape)
                                     : tensor.type.strides;
}

std::optional<Affine> affine_of(const Nest& nest, const Expr& index) {
  return graph::as_affine(graph::simplify_index(index, nest.extents), nest.rank());
}

std::vector<bool> axes_used(const Expr& expr, int rank) {
  std::vector<bool> used(static_cast<size_t>(rank), false);
  if (!expr) return used;
  graph::visit(expr, [&](const ExprNode& node) {
    if (node.op == ExprOp::kAxis) used.at(static_cast<size_t>(node.axis)) = true;
  });
  return used;
}

double arithmetic_cost(const Expr& expr) {
  if (!expr) return 0;
  double cost = 0;
  graph::visit(expr, [&](const ExprNode& node) {
    if (node.kind != ScalarKind::kReal) return;
    switch (node.op) {
      case ExprOp::kConst:
      case ExprOp::kAxis:
      case ExprOp::kLoad:
      case ExprOp::kReduced:
        return;
      case ExprOp::kExp:
      case ExprOp::kExpm1:
      case ExprOp::kLog:
      case ExprOp::kLog1p:
      case ExprOp::kLog2:
      case ExprOp::kSin:
      case ExprOp::kCos:
      case ExprOp::kTan:
      case ExprOp::kTanh:
      case ExprOp::kErf:
      case ExprOp::kSoftplus:
      case ExprOp::kPow:
      case ExprOp::kAtan2:
      case ExprOp::kFmod:
        cost += 12;
        return;
      case ExprOp::kDiv:
      case ExprOp::kSqrt:
      case ExprOp::kRsqrt:
        cost += 4;
        return;
      default:
        cost += 1;
    }
  });
  return cost;
}

namespace {

Expr rewrite_all(const Expr& expr, const std::vector<Expr>& axes,
                 const std::vector<int64_t>& extents) {
  return expr ? graph::simplify_index(graph::substitute_axes(expr, axes), extents) : expr;
}

void substitute(Nest& nest, const std::vector<Expr>& axes) {
  nest.body = rewrite_all(nest.body, axes, nest.extents);
  nest.finish = rewrite_all(nest.finish, axes, nest.extents);
  nest.store = rewrite_all(nest.store, axes, nest.extents);
  for (Expr& expr : nest.also) expr = rewrite_all(expr, axes, nest.extents);
}

void each_affine(const Expr& expr, int rank, const std::function<void(const Affine&)>& use,
                 std::unordered_set<const ExprNode*>& seen) {
  if (!expr || !seen.insert(expr.get()).second) return;
  if (expr->kind == ScalarKind::kInt) {
    if (auto affine = graph::as_affine(expr, rank)) {
      use(*affine);
      return;
    }
  }
  for (const Expr& operand : expr->operands) each_affine(operand, rank, use, seen);
}

// A split that turns some i / d or i % d into plain axes: {axis, inner extent}.
std::optional<std::pair<int, int64_t>> wanted_split(const Nest& nest, const Expr& expr) {
  std::optional<std::pair<int, int64_t>> found;
  if (!expr) return found;
  graph::visit(expr, [&](const ExprNode& node) {
    if (found || (node.op != ExprOp::kFloorDiv && node.op != ExprOp::kMod)) return;
    if (node.operands[1]->op != ExprOp::kConst || node.operands[1]->kind != ScalarKind::kInt)
      return;
    const int64_t divisor = node.operands[1]->int_value;
    auto affine = graph::as_affine(node.operands[0], nest.rank());
    if (!affine || divisor <= 1) return;
    for (int a = 0; a < nest.rank() && !found; ++a) {
      const int64_t c = affine->coefficients[static_cast<size_t>(a)];
      const int64_t extent = nest.extents[static_cast<size_t>(a)];
      if (c <= 0 || divisor % c != 0) continue;
      const int64_t inner = divisor / c;
      if (inner > 1 && inner < extent && extent % inner == 0) found = {a, inner};
    }
  });
  return found;
}

}  // namespace

void visit_affine(const Expr& expr, int rank, const std::function<void(const Affine&)>& use) {
  std::unordered_set<const ExprNode*> seen;
  each_affine(expr, rank, use, seen);
}

void split_axis(Nest& nest, int axis, int64_t inner) {
  std::vector<Expr> axes;
  std::vector<int64_t> extents;
  for (int a = 0; a < nest.rank(); ++a) {
    const int at = static_cast<int>(extents.size());
    const int64_t extent = nest.extents[static_cast<size_t>(a)];
    if (a == axis) {
      extents.push_back(extent / inner);
      extents.push_back(inner);
      axes.push_back(graph::axis(at) * graph::integer(inner) + graph::axis(at + 1));
    } else {
      extents.push_back(extent);
      axes.push_back(graph::axis(at));
    }
  }
  nest.extents = extents;
  if (axis < nest.outer) ++nest.outer;
  substitute(nest, axes);
}

void permute_axes(Nest& nest, const std::vector<int>& order) {
  std::vector<Expr> axes(order.size());
  std::vector<int64_t> extents;
  for (size_t i = 0; i < order.size(); ++i) {
    axes[static_cast<size_t>(order[i])] = graph::axis(static_cast<int>(i));
    extents.push_back(nest.extents[static_cast<size_t>(order[i])]);
  }
  nest.extents = extents;
  substitute(nest, axes);
}

bool can_merge(const Nest& nest, int a) {
  if ((a < nest.outer) != (a + 1 < nest.outer)) return false;
  const int64_t inner_extent = nest.extents[static_cast<size_t>(a) + 1];
  if (nest.extents[static_cast<size_t>(a)] == 1 || inner_extent == 1) return true;
  bool fits = true;
  auto check = [&](const Affine& affine) {
    const int64_t high = affine.coefficients[static_cast<size_t>(a)];
    const int64_t low = affine.coefficients[static_cast<size_t>(a) + 1];
    fits = fits && high == low * inner_extent;
  };
  for (const Expr& expr : {nest.body, nest.finish, nest.store})
    visit_affine(expr, nest.rank(), check);
  for (const Expr& expr : nest.also) visit_affine(expr, nest.rank(), check);
  return fits;
}

void merge(Nest& nest, int a) {
  const int64_t outer_extent = nest.extents[static_cast<size_t>(a)];
  const int64_t inner_extent = nest.extents[static_cast<size_t>(a) + 1];
  const int gone = inner_extent == 1 ? a + 1 : a;
  std::vector<Expr> axes;
  for (int i = 0; i < nest.rank(); ++i) {
    axes.push_back(i == gone ? graph::integer(0) : graph::axis(i > a ? i - 1 : i));
  }
  nest.extents[static_cast<size_t>(a)] = outer_extent * inner_extent;
  nest.extents.erase(nest.extents.begin() + a + 1);
  if (a < nest.outer) --nest.outer;
  substitute(nest, axes);
}

void merge_axes(Nest& nest) {
  for (int a = 0; a + 1 < nest.rank();) {
    if (!can_merge(nest, a)) {
      ++a;
      continue;
    }
    merge(nest, a);
    if (a > 0) --a;
  }
}

Nest make_nest(const graph::Stage& stage, const std::vector<graph::StageTensor>& tensors,
               bool merge, const std::vector<Expr>& also) {
  Nest nest;
  const graph::StageTensor& output = tensors.at(static_cast<size_t>(stage.output));
  nest.extents = output.type.shape;
  nest.outer = static_cast<int>(nest.extents.size());
  nest.extents.insert(nest.extents.end(), stage.reduce.begin(), stage.reduce.end());
  nest.combiner = stage.combiner;
  nest.output = stage.output;
  nest.origin = stage.origin;
  auto flatten = [&](const Expr& expr) {
    if (!expr) return expr;
    Expr flat = graph::rewrite_loads(expr, [&](const ExprNode& node) -> Expr {
      const std::vector<int64_t> strides = strides_of(tensors.at(static_cast<size_t>(node.tensor)));
      Expr sum = graph::integer(0);
      for (size_t d = 0; d < node.operands.size(); ++d)
        sum = sum + node.operands[d] * graph::integer(strides.at(d));
      return graph::load(node.tensor, node.kind, {sum});
    });
    return graph::simplify_index(flat, nest.extents);
  };
  nest.body = flatten(stage.body);
  nest.finish = flatten(stage.finish);
  for (const Expr& expr : also) nest.also.push_back(flatten(expr));
  nest.store = graph::integer(0);
  const std::vector<int64_t> strides = graph::contiguous_strides(output.type.shape);
  for (int d = 0; d < nest.outer; ++d) {
    nest.store = nest.store + graph::axis(d) * graph::integer(strides[static_cast<size_t>(d)]);
  }
  nest.store = graph::simplify_index(nest.store, nest.extents);
  for (int round = 0; round < 16; ++round) {
    std::optional<std::pair<int, int64_t>> split;
    for (const Expr& expr : {nest.body, nest.finish}) {
      if (!split) split = wanted_split(nest, expr);
    }
    for (const Expr& expr : nest.also) {
      if (!split) split = wanted_split(nest, expr);
    }
    if (!split) break;
    split_axis(nest, split->first, split->second);
  }
  if (merge) merge_axes(nest);
  return nest;
}

}  // namespace kernelwright::rewrite

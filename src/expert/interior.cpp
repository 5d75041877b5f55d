// SPDX-License-Identifier: Apache-2.0
#include "expert/interior.h"

#include <algorithm>
#include <optional>

namespace kernelwright::expert {

using graph::Affine;
using graph::Expr;
using graph::ExprOp;
using graph::ScalarKind;

namespace {

// A comparison of integers as "affine >= 0".
std::optional<Affine> at_least_zero(const Expr& condition, int rank) {
  if (condition->operands.size() != 2) return std::nullopt;
  const Expr& a = condition->operands[0];
  const Expr& b = condition->operands[1];
  if (a->kind != ScalarKind::kInt || b->kind != ScalarKind::kInt) return std::nullopt;
  switch (condition->op) {
    case ExprOp::kGe:
      return graph::as_affine(a - b, rank);
    case ExprOp::kGt:
      return graph::as_affine(a - b - graph::integer(1), rank);
    case ExprOp::kLe:
      return graph::as_affine(b - a, rank);
    case ExprOp::kLt:
      return graph::as_affine(b - a - graph::integer(1), rank);
    default:
      return std::nullopt;
  }
}

int64_t floor_of(int64_t a, int64_t b) {
  return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

struct Found {
  int64_t low, high;
  std::vector<Expr> invariant;
};

// Narrows `found` so that the condition holds; false when it cannot be told apart by the axis.
bool assume(const Expr& condition, int axis, int rank, Found& found) {
  if (condition->op == ExprOp::kAnd) {
    return assume(condition->operands[0], axis, rank, found) &&
           assume(condition->operands[1], axis, rank, found);
  }
  const auto affine = at_least_zero(condition, rank);
  if (!affine) return false;
  const int64_t c = affine->coefficients[static_cast<size_t>(axis)];
  bool others = false;
  for (int a = 0; a < rank; ++a)
    others |= a != axis && affine->coefficients[static_cast<size_t>(a)] != 0;
  if (c == 0) {
    found.invariant.push_back(condition);
    return true;
  }
  if (others) return false;
  // c * i + d >= 0
  if (c > 0)
    found.low = std::max(found.low, -floor_of(affine->constant, c));
  else
    found.high = std::min(found.high, floor_of(affine->constant, -c) + 1);
  return true;
}

}  // namespace

std::optional<std::vector<Affine>> bounds_of(const Expr& condition, int rank) {
  if (condition->op != ExprOp::kAnd) {
    const auto bound = at_least_zero(condition, rank);
    if (!bound) return std::nullopt;
    return std::vector<Affine>{*bound};
  }
  auto left = bounds_of(condition->operands[0], rank),
       right = bounds_of(condition->operands[1], rank);
  if (!left || !right) return std::nullopt;
  left->insert(left->end(), right->begin(), right->end());
  return left;
}

Interior interior_of(const Expr& body, int axis, const std::vector<int64_t>& extents) {
  const int rank = static_cast<int>(extents.size());
  Interior interior;
  Found all{0, extents[static_cast<size_t>(axis)], {}};
  interior.body = graph::rewrite(body, [&](const Expr& node) -> Expr {
    if (node->op != ExprOp::kSelect) return nullptr;
    Found found = all;
    if (!assume(node->operands[0], axis, rank, found)) return nullptr;
    all = std::move(found);
    interior.simpler = true;
    return node->operands[1];
  });
  interior.low = all.low;
  interior.high = std::max(all.low, all.high);
  for (const Expr& condition : all.invariant) {
    const bool known =
        std::any_of(interior.invariant.begin(), interior.invariant.end(),
                    [&](const Expr& other) { return graph::same(other, condition); });
    if (!known) interior.invariant.push_back(condition);
  }
  return interior;
}

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#include "expert/families/reciprocal.h"

#include <cmath>

namespace kernelwright::expert {

using graph::Expr;
using graph::ExprOp;
using graph::ScalarKind;

namespace {

constexpr int kFar = 100;  // a divisor beyond 2^100 or below 2^-100
constexpr int kNear = 64;  // is brought nearer by 2^64

bool by_shared(const Expr& node, const SharedBy& shared) {
  if (node->op != ExprOp::kDiv) return false;
  const Expr &dividend = node->operands[0], &divisor = node->operands[1];
  if (dividend->kind != ScalarKind::kReal || divisor->kind != ScalarKind::kReal) return false;
  if (!shared(divisor) || shared(dividend)) return false;
  if (divisor->op != ExprOp::kConst) return true;
  // Compilers know division by a power of two.
  int exponent = 0;
  const double fraction = std::abs(std::frexp(divisor->real_value, &exponent));
  return fraction != 0.5 && std::isfinite(fraction) && fraction > 0 && std::abs(exponent) < kFar;
}

}  // namespace

bool divides_by_shared(const Expr& expr, const SharedBy& shared) {
  bool found = false;
  graph::rewrite(expr, [&](const Expr& node) -> Expr {
    found |= by_shared(node, shared);
    return nullptr;
  });
  return found;
}

Expr with_reciprocals(const Expr& expr, const SharedBy& shared) {
  return graph::rewrite(expr, [&](const Expr& node) -> Expr {
    if (!by_shared(node, shared)) return nullptr;
    const Expr &dividend = node->operands[0], &divisor = node->operands[1];
    const Expr one = graph::constant(1);
    if (divisor->op == ExprOp::kConst) return dividend * graph::constant(1 / divisor->real_value);
    const Expr size = graph::unary(ExprOp::kAbs, divisor);
    const auto beyond = [&](ExprOp side, int exponent) {
      return graph::binary(side, size, graph::constant(std::ldexp(1.0, exponent)));
    };
    const Expr scale = graph::select(
        beyond(ExprOp::kLt, -kFar), graph::constant(std::ldexp(1.0, kNear)),
        graph::select(beyond(ExprOp::kGt, kFar), graph::constant(std::ldexp(1.0, -kNear)), one));
    return dividend * scale * graph::binary(ExprOp::kDiv, one, divisor * scale);
  });
}

}  // namespace kernelwright::expert

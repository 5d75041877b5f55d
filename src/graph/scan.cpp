// SPDX-License-Identifier: Apache-2.0
#include "graph/scan.h"

#include <limits>

namespace kernelwright::graph {
namespace {

// The largest double below 2^63: exact wherever an integer is kept as a double.
constexpr int64_t kMostInt = (int64_t{1} << 62) + ((int64_t{1} << 62) - 1024);

// A comparison of two affine integers as "left - right <= 0", or (at_least) ">= 0".
struct Bound {
  Affine gap;
  bool at_least = false;
};

std::optional<Bound> bound_of(const Expr& condition, int axes) {
  const ExprOp op = condition->op;
  if (op != ExprOp::kLt && op != ExprOp::kLe && op != ExprOp::kGt && op != ExprOp::kGe)
    return std::nullopt;
  for (const auto& operand : condition->operands)
    if (operand->kind != ScalarKind::kInt) return std::nullopt;
  auto gap = as_affine(condition->operands[0] - condition->operands[1], axes);
  if (!gap) return std::nullopt;
  if (op == ExprOp::kLt) ++gap->constant;
  if (op == ExprOp::kGt) --gap->constant;
  return Bound{std::move(*gap), op == ExprOp::kGt || op == ExprOp::kGe};
}

}  // namespace

Expr neutral_element(Combiner combiner, ScalarKind kind) {
  const double infinity = std::numeric_limits<double>::infinity();
  const bool real = kind == ScalarKind::kReal;
  switch (combiner) {
    case Combiner::kSum:
      return real ? constant(0) : integer(0);
    case Combiner::kProd:
      return real ? constant(1) : integer(1);
    case Combiner::kMax:
      return real ? constant(-infinity) : integer(std::numeric_limits<int64_t>::min());
    case Combiner::kMin:
      return real ? constant(infinity) : integer(kMostInt);
    case Combiner::kAny:
      return boolean(false);
    case Combiner::kAll:
      return boolean(true);
    default:
      return nullptr;
  }
}

bool Scan::in_step(const std::vector<int64_t>& extents) const {
  const int64_t length = extents[static_cast<size_t>(along)];
  if (extents[static_cast<size_t>(over)] != length) return false;
  // The bound at the first step.
  const int64_t first = direction * (falling() ? length - 1 : 0) + offset;
  return first == (suffix ? length - 1 : 0);
}

std::optional<Scan> match_scan(Combiner combiner, const Expr& body,
                               const std::vector<int64_t>& extents, int outer) {
  const int rank = static_cast<int>(extents.size());
  if (combiner == Combiner::kNone || !body || rank != outer + 1 || body->op != ExprOp::kSelect)
    return std::nullopt;
  const Expr neutral = neutral_element(combiner, body->kind);
  if (!neutral || !same(neutral, body->operands[2])) return std::nullopt;
  const auto bound = bound_of(body->operands[0], rank);
  if (!bound) return std::nullopt;
  Scan scan;
  scan.over = outer;
  const int64_t mine = bound->gap.coefficients[static_cast<size_t>(scan.over)];
  for (int a = 0; a < outer; ++a) {
    const int64_t c = bound->gap.coefficients[static_cast<size_t>(a)];
    if (c == 0) continue;
    if (scan.along >= 0 || (c != 1 && c != -1)) return std::nullopt;
    scan.along = a;
    scan.direction = static_cast<int>(-c);
  }
  if (scan.along < 0 || (mine != 1 && mine != -1)) return std::nullopt;
  // mine * r + c * i + constant <= 0, with mine = 1: r <= -c * i - constant; with -1 the sides
  // change.
  scan.suffix = bound->at_least != (mine < 0);
  scan.direction *= static_cast<int>(mine);
  scan.offset = -mine * bound->gap.constant;
  scan.value = body->operands[1];
  bool moves = false;
  visit(scan.value, [&](const ExprNode& e) {
    moves = moves || (e.op == ExprOp::kAxis && e.axis == scan.along);
  });
  if (moves) return std::nullopt;
  return scan;
}

}  // namespace kernelwright::graph

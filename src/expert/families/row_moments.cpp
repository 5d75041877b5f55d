// SPDX-License-Identifier: Apache-2.0
#include "expert/families/row_moments.h"

#include <fmt/format.h>

#include <cmath>

namespace kernelwright::expert {

using graph::Combiner;
using graph::Expr;
using graph::ExprOp;
using rewrite::RowGroup;

namespace {

bool is_constant(const Expr& expr, double value) {
  return expr->op == ExprOp::kConst && expr->kind == graph::ScalarKind::kReal &&
         std::abs(expr->real_value - value) <= 1e-12 * std::abs(value);
}

// sum / length, or sum * (1 / length).
bool is_mean(const RowGroup::Member& member, int64_t length) {
  if (!member.reduces || member.nest.combiner != Combiner::kSum || !member.nest.finish ||
      member.nest.body->kind != graph::ScalarKind::kReal)
    return false;
  const Expr& finish = member.nest.finish;
  if (finish->operands.size() != 2) return false;
  const auto n = static_cast<double>(length);
  const Expr &a = finish->operands[0], &b = finish->operands[1];
  if (finish->op == ExprOp::kDiv) return a->op == ExprOp::kReduced && is_constant(b, n);
  if (finish->op != ExprOp::kMul) return false;
  return (a->op == ExprOp::kReduced && is_constant(b, 1 / n)) ||
         (b->op == ExprOp::kReduced && is_constant(a, 1 / n));
}

// (x - mean)^2 or (mean - x)^2, of the x that the mean is of.
bool is_squared_deviation(const Expr& body, const RowGroup::Member& mean) {
  if (body->op != ExprOp::kMul || !graph::same(body->operands[0], body->operands[1])) return false;
  const Expr& deviation = body->operands[0];
  if (deviation->op != ExprOp::kSub) return false;
  for (size_t i = 0; i < 2; ++i) {
    const Expr &x = deviation->operands[i], &centre = deviation->operands[1 - i];
    if (centre->op == ExprOp::kLoad && centre->tensor == mean.nest.output &&
        graph::same(x, mean.nest.body))
      return true;
  }
  return false;
}

}  // namespace

std::optional<MomentPair> find_moment_pair(const Passes& plan) {
  const int64_t length = plan.group.row_length();
  const auto& members = plan.group.members;
  for (size_t v = 0; v < members.size(); ++v) {
    if (!members[v].reduces || members[v].nest.combiner != Combiner::kSum) continue;
    for (size_t m = 0; m < v; ++m) {
      if (plan.pass[m] + 1 != plan.pass[v] || !is_mean(members[m], length) ||
          !is_squared_deviation(members[v].nest.body, members[m]))
        continue;
      // What else the pass of the squares is about would need the mean before it is there, and so
      // would a finish that reads what follows from the mean.
      bool alone = true;
      for (size_t j = 0; j < members.size(); ++j) {
        const bool scalar = members[j].per_row && !members[j].reduces;
        if (j != v && plan.pass[j] == plan.pass[v] && !scalar) alone = false;
        if (j != m && scalar && reads(members[v], members[j].nest.output)) alone = false;
      }
      if (alone) return MomentPair{m, v};
    }
  }
  return std::nullopt;
}

std::string add_to_moments(const MomentPair& moments, const std::string& value) {
  return fmt::format(
      "{{ const double off = (double){} - centre; acc{}[l] += off; acc{}[l] += off * off; }}",
      value, moments.mean, moments.squares);
}

std::string moment_sum(const MomentPair& moments, int64_t points) {
  return fmt::format("(acc{}[0] + {}.0 * centre)", moments.mean, points);
}

std::string moment_squares(const MomentPair& moments, int64_t points) {
  return fmt::format("kw_squares_about((double)val{0}, {1}.0, centre, acc{0}[0], acc{2}[0])",
                     moments.mean, points, moments.squares);
}

}  // namespace kernelwright::expert

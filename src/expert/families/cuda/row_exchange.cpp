// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kernelwright::expert::cuda {

using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
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

// Points of part `part`, as a double.
std::string points_of(const std::string& part, const RowLayout& layout, int64_t length) {
  const int64_t last = length - (layout.slices - 1) * layout.slice;
  if (last == layout.slice) return fmt::format("{}.0", layout.slice);
  return fmt::format("({} == {} ? {}.0 : {}.0)", part, layout.slices - 1, last, layout.slice);
}

std::string offer(const std::vector<Offered>& offered, const RowLayout& layout) {
  std::string text = fmt::format("    const int place = ((int)turn * {} + group) * {};\n",
                                 layout.groups, layout.group);
  for (const Offered& one : offered)
    text += fmt::format("    if (threadIdx.x == 0) {}[place + part] = total{};\n", one.values,
                        one.total.number);
  return text + "    meet.wait();\n";
}

std::string together(const std::vector<Offered>& offered, const RowLayout& layout,
                     const std::string& index) {
  std::vector<Total> totals;
  for (const Offered& one : offered) totals.push_back(one.total);
  return combine_lanes(totals, {false, layout.threads, 1, index});
}

}  // namespace

std::optional<Moments> find_moments(const Passes& plan) {
  const auto& members = plan.group.members;
  for (size_t v = 0; v < members.size(); ++v) {
    if (!members[v].reduces || members[v].nest.combiner != Combiner::kSum) continue;
    for (size_t m = 0; m < v; ++m) {
      if (plan.pass[m] + 1 != plan.pass[v] || !is_mean(members[m], plan.group.row_length()) ||
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
      if (alone) return Moments{m, v};
    }
  }
  return std::nullopt;
}

std::string exchange_totals(const std::vector<Offered>& offered, const RowLayout& layout,
                            const std::string& index) {
  if (offered.empty()) return "";
  std::string text = "    {\n" + offer(offered, layout);
  for (const Offered& one : offered)
    text += combine_parts(one.total, one.values, "place + s", layout.group, layout.threads);
  return text + together(offered, layout, index) + "    }\n";
}

std::string own_centre(const Moments& moments, const RowLayout& layout, int64_t length,
                       const std::string& type) {
  return fmt::format("({})(total{} / {})", type, moments.mean, points_of("part", layout, length));
}

std::string exchange_moments(const Moments& moments, const std::vector<Offered>& offered,
                             const RowLayout& layout, int64_t length, const std::string& type,
                             const std::string& index) {
  std::string text = "    {\n" + offer(offered, layout), sums, squares;
  for (const Offered& one : offered) {
    if (one.total.number == moments.mean)
      sums = one.values;
    else if (one.total.number == moments.squares)
      squares = one.values;
    else
      text += combine_parts(one.total, one.values, "place + s", layout.group, layout.threads);
  }
  text += fmt::format(
      "    const double first = (double)({0})({1}[place] / {2});\n"
      "    total{3} = 0; total{4} = 0;\n"
      "    for (int s = lane; s < {5}; s += {6}) {{\n"
      "      const double n = {7}, sum = {1}[place + s];\n"
      "      const double centre = (double)({0})(sum / n) - first;\n"
      "      total{3} += sum;\n"
      "      total{4} += {8}[place + s] + centre * (2 * (sum - n * first) - n * centre);\n    }}\n",
      type, sums, points_of("0", layout, length), moments.mean, moments.squares, layout.group,
      layout.threads, points_of("s", layout, length), squares);
  text += together(offered, layout, index);
  // Rounding may leave a little less than nothing.
  return text + fmt::format(
                    "    const double off = total{0} / {2}.0 - first;\n"
                    "    total{1} -= {2}.0 * off * off;\n"
                    "    if (total{1} < 0) total{1} = 0;\n    }}\n",
                    moments.mean, moments.squares, length);
}

}  // namespace kernelwright::expert::cuda

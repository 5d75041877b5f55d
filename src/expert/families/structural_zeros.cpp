// SPDX-License-Identifier: Apache-2.0
#include "expert/families/structural_zeros.h"

#include <fmt/format.h>

#include <algorithm>

namespace kernelwright::expert {

using graph::Expr;
using graph::ExprOp;
using rewrite::Contraction;

namespace {

constexpr int64_t kMostAnswers = 4096;

bool is_zero(const Expr& value) {
  return value->op == ExprOp::kConst && value->real_value == 0;
}

// The axes that a condition depends on before the others, the order being kept on either side.
std::vector<int> with_used_first(const std::vector<int>& axes, const std::vector<bool>& used) {
  std::vector<int> order = axes;
  std::stable_partition(order.begin(), order.end(),
                        [&](int axis) { return used[static_cast<size_t>(axis)]; });
  return order;
}

// What every value of the used axes stands for, in the order of their points.
std::vector<std::vector<Expr>> points(const Contraction& c, const std::vector<int>& order,
                                      const std::vector<bool>& used) {
  std::vector<Expr> axes;
  for (int a = 0; a < c.nest.rank(); ++a) axes.push_back(graph::axis(a));
  std::vector<std::vector<Expr>> out = {axes};
  for (int axis : order) {
    if (!used[static_cast<size_t>(axis)]) break;
    std::vector<std::vector<Expr>> next;
    for (const auto& point : out) {
      for (int64_t i = 0; i < c.nest.extents[static_cast<size_t>(axis)]; ++i) {
        next.push_back(point);
        next.back()[static_cast<size_t>(axis)] = graph::integer(i);
      }
    }
    out = std::move(next);
  }
  return out;
}

}  // namespace

double StructuralZeros::density() const {
  double sum = 0;
  for (const auto& row : kept) sum += static_cast<double>(std::count(row.begin(), row.end(), true));
  return sum / static_cast<double>(kept.size() * kept.front().size());
}

std::vector<StructuralZeros::Run> StructuralZeros::runs(int64_t begin, int64_t end,
                                                        int64_t longest) const {
  std::vector<Run> out;
  const auto first = static_cast<size_t>(begin / rows);
  const auto last = std::min(kept.size(), static_cast<size_t>((end - 1) / rows) + 1);
  for (size_t t = 0; t < kept.front().size(); ++t) {
    bool needed = false;
    for (size_t row = first; row < last; ++row) needed = needed || kept[row][t];
    if (!needed) continue;
    int64_t from = static_cast<int64_t>(t) * terms;
    for (int64_t left = terms; left > 0;) {
      if (out.empty() || out.back().first + out.back().count != from || out.back().count == longest)
        out.push_back({from, 0});
      const int64_t count = std::min(left, longest - out.back().count);
      out.back().count += count;
      from += count;
      left -= count;
    }
  }
  // Zeros have to be made too: by the least, which is a pair where terms come in pairs.
  if (out.empty()) out.push_back({0, std::min<int64_t>(terms, 2)});
  return out;
}

std::optional<StructuralZeros> structural_zeros(const Contraction& c) {
  if (c.a->op != ExprOp::kSelect || !is_zero(c.a->operands[2])) return std::nullopt;
  const Expr& condition = c.a->operands[0];
  const auto used = rewrite::axes_used(condition, c.nest.rank());
  auto any = [&](const std::vector<int>& axes) {
    return std::any_of(axes.begin(), axes.end(),
                       [&](int axis) { return used[static_cast<size_t>(axis)]; });
  };
  bool loads = false;
  graph::visit(condition,
               [&](const graph::ExprNode& node) { loads = loads || node.op == ExprOp::kLoad; });
  if (loads || any(c.batch) || any(c.n) || !any(c.m)) return std::nullopt;
  StructuralZeros zeros{with_used_first(c.m, used), with_used_first(c.k, used), 1, 1, {}};
  int64_t row_points = 1, term_points = 1;
  for (int axis : zeros.m)
    (used[static_cast<size_t>(axis)] ? row_points : zeros.rows) *=
        c.nest.extents[static_cast<size_t>(axis)];
  for (int axis : zeros.k)
    (used[static_cast<size_t>(axis)] ? term_points : zeros.terms) *=
        c.nest.extents[static_cast<size_t>(axis)];
  if (row_points * term_points > kMostAnswers) return std::nullopt;
  bool all = true;
  for (const auto& row : points(c, zeros.m, used)) {
    const Expr here = graph::substitute_axes(condition, row);
    zeros.kept.emplace_back();
    for (const auto& term : points(c, zeros.k, used)) {
      const Expr answer = graph::simplify_index(graph::substitute_axes(here, term), c.nest.extents);
      const bool kept = answer->op != ExprOp::kConst || answer->int_value != 0;
      zeros.kept.back().push_back(kept);
      all = all && kept;
    }
  }
  if (all) return std::nullopt;
  return zeros;
}

std::string runs_table(const std::string& name, const StructuralZeros& zeros, int64_t m,
                       int64_t rows, int64_t longest) {
  std::string begins, runs;
  size_t count = 0;
  for (int64_t row = 0; row < m; row += rows) {
    begins += fmt::format("{}, ", count);
    for (const auto& run : zeros.runs(row, std::min(m, row + rows), longest)) {
      runs += fmt::format("{{{}, {}}}, ", run.first, run.count);
      ++count;
    }
  }
  return fmt::format(
      "static const int {0}_begin[] = {{{1}{2}}};\nstatic const int {0}_runs[][2] = {{{3}}};\n",
      name, begins, count, runs);
}

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#include "expert/families/window.h"

#include <fmt/format.h>

#include <algorithm>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/dialects/reduce.h"
#include "expert/emit_util.h"
#include "expert/families/halo_emitter.h"
#include "expert/interior.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using code::Real;
using graph::Combiner;
using graph::Expr;
using graph::ExprOp;
using rewrite::Nest;

namespace {

constexpr int64_t kLongestWindow = 64;
constexpr int64_t kLargestImage = 512 << 10;  // bytes per worker of an image with its border

Expr combined(Combiner combiner, const Expr& a, const Expr& b) {
  switch (combiner) {
    case Combiner::kProd:
      return a * b;
    case Combiner::kMax:
      return graph::binary(ExprOp::kMax, a, b);
    case Combiner::kMin:
      return graph::binary(ExprOp::kMin, a, b);
    case Combiner::kAny:
      return graph::binary(ExprOp::kOr, a, b);
    case Combiner::kAll:
      return graph::binary(ExprOp::kAnd, a, b);
    default:
      return a + b;
  }
}

}  // namespace

Expr unrolled_window(const Nest& nest) {
  std::vector<int64_t> extents(nest.extents.begin(), nest.extents.begin() + nest.outer);
  Expr total;
  const int64_t points = nest.reduce_points();
  for (int64_t point = 0; point < points; ++point) {
    std::vector<Expr> axes;
    for (int a = 0; a < nest.outer; ++a) axes.push_back(graph::axis(a));
    std::vector<Expr> reduction;
    int64_t rest = point;
    for (int a = nest.rank() - 1; a >= nest.outer; --a) {
      const int64_t extent = nest.extents[static_cast<size_t>(a)];
      reduction.insert(reduction.begin(), graph::integer(rest % extent));
      rest /= extent;
    }
    axes.insert(axes.end(), reduction.begin(), reduction.end());
    const Expr term = graph::substitute_axes(nest.body, axes);
    total = total ? combined(nest.combiner, total, term) : term;
  }
  if (nest.finish) total = graph::replace_reduced(nest.finish, total);
  return graph::simplify_index(total, extents);
}

bool WindowFamily::accepts(const OpContext& context) const {
  if (context.op.stages.size() != 1) return false;
  const Nest& nest = context.nest();
  if (nest.combiner == Combiner::kNone || code::is_arg(nest.combiner) || nest.outer == 0 ||
      nest.outer_points() == 0)
    return false;
  const int64_t points = nest.reduce_points();
  return points >= 1 && points <= kLongestWindow && nest.body->kind != graph::ScalarKind::kBool;
}

ScheduleSpace WindowFamily::space(const OpContext& context) const {
  const Nest& nest = context.nest();
  std::vector<int64_t> extents(nest.extents.begin(), nest.extents.begin() + nest.outer);
  const bool simpler = interior_of(unrolled_window(nest), nest.outer - 1, extents).simpler;
  return {{"chunk", {1024, 4096, 16384}, 4096},
          {"split", simpler ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0}, simpler ? 1 : 0,
           Bears::kArithmetic},
          {"halo", halo_of(nest) ? std::vector<int64_t>{1, 0} : std::vector<int64_t>{0},
           halo_of(nest) ? 1 : 0, Bears::kArithmetic}};
}

bool WindowFamily::legal(const OpContext& context, const Schedule& schedule) const {
  if (schedule.at("halo") == 0) return true;
  const auto halo = halo_of(context.nest());
  return schedule.at("split") != 0 &&
         image_bytes(context, *halo, schedule.at("chunk")) <= kLargestImage;
}

double WindowFamily::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const Nest& nest = context.nest();
  const double lanes = static_cast<double>(context.vector_bytes()) / 4;
  const double outputs = static_cast<double>(nest.outer_points());
  const double length = static_cast<double>(nest.extents[static_cast<size_t>(nest.outer) - 1]);
  double term = 1.5 + rewrite::arithmetic_cost(nest.body);
  graph::visit(nest.body, [&](const graph::ExprNode& node) {
    if (node.op != ExprOp::kLoad) return;
    const auto along = coefficient(nest, node.operands[0], nest.outer - 1);
    term += !along || std::abs(*along) > 4 ? 6.0 : std::abs(*along) > 1 ? 2.0 : 0.0;
  });
  const double useful = length >= lanes ? 1.0 : length / lanes * 0.5;
  bool select = false;
  graph::visit(nest.body,
               [&](const graph::ExprNode& node) { select |= node.op == ExprOp::kSelect; });
  if (schedule.at("halo") != 0)
    term += 1.0 / static_cast<double>(nest.reduce_points());  // the copy
  else if (select)
    term *= schedule.at("split") == 0 ? 4 : 1 + 64 / length;  // at the ends an element at a time
  const double compute = outputs * static_cast<double>(nest.reduce_points()) * term /
                         (lanes * useful * 2.5e9 * std::max(1, context.threads));
  const double bytes = context.bytes() + static_cast<double>(context.type(nest.output).bytes());
  const double chunks = std::max(1.0, outputs / static_cast<double>(schedule.at("chunk")));
  return std::max(compute, bytes / std::max(1e9, context.model.memory_bytes_per_s())) +
         0.1 * compute + chunks * 3e-8 + context.model.launch_s;
}

Status WindowFamily::emit(const OpContext& context, const Schedule& schedule,
                          ProgramBuilder& builder) const {
  const Nest& nest = context.nest();
  if (schedule.at("halo") != 0) {
    emit_halo(context, *halo_of(nest), schedule.at("chunk"), builder);
    return {};
  }
  const std::vector<int64_t> extents(nest.extents.begin(), nest.extents.begin() + nest.outer);
  const int inner = nest.outer - 1;
  const int64_t length = extents.back();
  const graph::DType stored = context.type(nest.output).dtype;
  const Expr body = unrolled_window(nest);
  const Interior interior = interior_of(body, inner, extents);
  const bool split = schedule.at("split") != 0 && interior.simpler;
  const Real real = real_of(context, nest);
  KernelText kernel(builder, "window_" + nest.origin);
  const std::string out = kernel.write(nest.output);
  const int64_t chunk = std::min(schedule.at("chunk"), length);
  std::vector<int64_t> grid(extents.begin(), extents.end() - 1);
  grid.push_back(ceil_div(length, chunk));

  std::string& text = kernel.body;
  text += "  for (int64_t point = begin; point < end; ++point) {\n" +
          decode_axes("point", grid, 0, nest.outer, 4, "g");
  for (int a = 0; a < inner; ++a)
    text += fmt::format("    const int64_t i{0} = g{0}; (void)i{0};\n", a);
  text += fmt::format(
      "    const int64_t first = g{0} * {1}, last = first + {1} < {2} ? first + {1} : {2};\n",
      inner, chunk, length);
  auto loop = [&](const Expr& expr, const std::string& from, const std::string& to,
                  const std::string& prefix, bool vector) {
    ExprPrinter printer(real, extents, prefix);
    bind_loads(context, {expr}, kernel, printer);
    for (int a = 0; a < nest.outer; ++a)
      printer.bind_axis(a, fmt::format("i{}", a), a == inner ? 2 : 1);
    const std::string value = code::to_stored(printer.print(expr), stored, expr->kind);
    const std::string at = printer.print(nest.store);
    text += "    {\n" + printer.take(0, 6) + printer.take(1, 6);
    text += vector ? "#pragma GCC ivdep\n" : "#pragma GCC unroll 1\n";
    text += fmt::format(
        "      for (int64_t i{0} = {1}; i{0} < {2}; ++i{0}) {{\n{3}        {4}[{5}] = {6};\n      "
        "}}\n    }}\n",
        inner, from, to, printer.take(2, 8), out, at, value);
  };
  if (!split) {
    loop(body, "first", "last", "v", true);
  } else {
    ExprPrinter conditions(real, extents, "c");
    for (int a = 0; a < nest.outer; ++a)
      conditions.bind_axis(a, fmt::format("i{}", a), a == inner ? 2 : 1);
    std::string whole;
    for (const Expr& condition : interior.invariant)
      whole += (whole.empty() ? "" : " & ") + conditions.print(condition);
    text += conditions.take(0, 4) + conditions.take(1, 4);
    text += fmt::format(
        "    int64_t low = first > {0} ? first : {0}, high = last < {1} ? last : {1};\n",
        interior.low, interior.high);
    text += fmt::format(
        "    if (!({}) || low > high) low = high = last;\n    if (low > last) low = high = last;\n",
        whole.empty() ? "true" : whole);
    loop(body, "first", "low", "a", false);
    loop(interior.body, "low", "high", "v", true);
    loop(body, "high", "last", "b", false);
  }
  text += "  }\n";
  int64_t points = 1;
  for (int64_t extent : grid) points *= extent;
  kernel.grain = std::max<int64_t>(1, schedule.at("chunk") / chunk);
  kernel.launch(points);
  return {};
}

}  // namespace kernelwright::expert

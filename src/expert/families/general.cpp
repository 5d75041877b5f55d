// SPDX-License-Identifier: Apache-2.0
#include "expert/families/general.h"

#include <fmt/format.h>

#include "expert/dialects/cpp/kernel_text.h"
#include "expert/dialects/reduce.h"
#include "expert/emit_util.h"
#include "expert/families/scan.h"
#include "rewrite/nest.h"

namespace kernelwright::expert {

using code::ExprPrinter;
using code::Real;
using graph::Combiner;
using graph::Expr;
using graph::ScalarKind;
using rewrite::Nest;

std::string general_point(const OpContext& context, const Nest& nest, KernelArguments& kernel,
                          const code::Spelling& spelling) {
  const graph::DType stored = context.type(nest.output).dtype;
  const Real real = real_of(context, nest);
  ExprPrinter printer(real, nest.extents, "v", spelling);
  bind_loads(context, {nest.body, nest.finish}, kernel, printer);
  const std::string out = kernel.write(nest.output);
  const int levels = nest.rank() - nest.outer;
  std::string text = decode_axes("point", nest.extents, 0, nest.outer, 4, "i", spelling.index);
  for (int a = 0; a < nest.outer; ++a) printer.bind_axis(a, fmt::format("i{}", a), 1);
  for (int a = nest.outer; a < nest.rank(); ++a)
    printer.bind_axis(a, fmt::format("i{}", a), 2 + a - nest.outer);

  std::string value;
  ScalarKind kind = nest.body->kind;
  Real finish_real = real;
  if (nest.combiner == Combiner::kNone) {
    value = printer.print(nest.body);
    text += printer.take(0, 4) + printer.take(1, 4);
  } else {
    const bool arg = code::is_arg(nest.combiner);
    // Long sums in one accumulator want more digits than they are stored with.
    const std::string type = kind == ScalarKind::kReal  ? (arg ? code::real_type(real) : "double")
                             : kind == ScalarKind::kInt ? "int64_t"
                                                        : "bool";
    const Real wide = arg ? real : Real::kF64;
    if (arg) text += "    int64_t best = 0, position = 0;\n";
    const std::string term = printer.print(nest.body);
    text += printer.take(0, 4) + printer.take(1, 4);
    text += fmt::format("    {} acc = {};\n", type,
                        code::identity(nest.combiner, kind, wide, spelling));
    for (int r = 0; r < levels; ++r) {
      const int a = nest.outer + r;
      text += fmt::format("{0}for ({3} i{1} = 0; i{1} < {2}; ++i{1}) {{\n", pad(4 + 2 * r), a,
                          nest.extents[static_cast<size_t>(a)], spelling.index);
      text += printer.take(2 + r, 6 + 2 * r);
    }
    const std::string inside = pad(4 + 2 * levels);
    if (arg) {
      text += fmt::format(
          "{}if (position == 0 || ({})) {{ acc = {}; best = position; }}\n{}++position;\n", inside,
          code::takes_over(nest.combiner, term, "acc"), term, inside);
    } else {
      const std::string cast = kind == ScalarKind::kReal ? "(double)" + term : term;
      text += fmt::format("{}acc = {};\n", inside, code::combine(nest.combiner, "acc", cast));
    }
    for (int r = levels - 1; r >= 0; --r) text += pad(4 + 2 * r) + "}\n";
    if (arg) {
      kind = ScalarKind::kInt;
      value = "best";
    } else {
      if (kind == ScalarKind::kReal) finish_real = Real::kF64;
      value = "acc";
    }
  }
  ExprPrinter last(finish_real, nest.extents, "f", spelling);
  bind_loads(context, {nest.finish}, kernel, last);
  for (int a = 0; a < nest.outer; ++a) last.bind_axis(a, fmt::format("i{}", a), 1);
  if (nest.finish) {
    last.bind_reduced(value, 1);
    value = last.print(nest.finish);
    kind = nest.finish->kind;
  }
  const std::string at = last.print(nest.store);
  text += last.take(0, 4) + last.take(1, 4);
  text += fmt::format("    {}[{}] = {};\n", out, at, code::to_stored(value, stored, kind));
  return text;
}

namespace {

constexpr double kGeneralBarrier = 2e-6;

// A step's points of a stage follow each other: the step is the outermost axis.
void emit_loop(const OpContext& context, ProgramBuilder& builder) {
  KernelText kernel(builder, "general_loop_" + context.op.stages.front().origin);
  kernel.team = true;
  for (const auto& stage : context.op.stages) kernel.makes(stage.output);
  kernel.body = fmt::format("  for (int64_t step = 0; step < {}; ++step) {{\n", context.op.steps);
  for (const auto& stage : context.op.stages) {
    const Nest nest = rewrite::make_nest(stage, context.graph.tensors);
    kernel.body += fmt::format(
        "  {{\n  const int64_t points = {};\n  const int64_t last = points * step + points * "
        "(kw->worker + 1) / kw->worker_count;\n  for (int64_t point = points * step + points * "
        "kw->worker / kw->worker_count; point < last; ++point) {{\n",
        nest.outer_points() / context.op.steps);
    kernel.body += general_point(context, nest, kernel, code::cpp_spelling()) +
                   "  }\n  }\n"
                   "  kw->barrier(kw->team);\n";
  }
  kernel.body += "  }\n";
  kernel.launch(1);
}

}  // namespace

double GeneralFamily::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  double points = 0;
  for (const auto& stage : context.op.stages) {
    const Nest nest = rewrite::make_nest(stage, context.graph.tensors);
    const double cost = 3 + rewrite::arithmetic_cost(nest.body);
    points += static_cast<double>(nest.outer_points()) *
              (static_cast<double>(nest.reduce_points()) * cost + 10);
  }
  const double barriers = kGeneralBarrier * static_cast<double>(context.op.steps) *
                          static_cast<double>(context.op.stages.size());
  return points * 1e-9 / std::max(1, context.threads) + context.model.launch_s + barriers;
}

Status GeneralFamily::emit(const OpContext& context, const Schedule& schedule,
                           ProgramBuilder& builder) const {
  if (context.op.steps > 0) {
    emit_loop(context, builder);
    return {};
  }
  for (const auto& stage : context.op.stages) {
    const Nest nest = rewrite::make_nest(stage, context.graph.tensors);
    KernelText kernel(builder, "general_" + nest.origin);
    const auto scan = scan_of(nest);
    if (scan && nest.outer_points() > 0) {
      kernel.body = "  for (int64_t point = begin; point < end; ++point) {\n" +
                    scan_row(context, nest, *scan, kernel, code::cpp_spelling()) + "  }\n";
      kernel.launch(rows_of(nest, *scan));
      continue;
    }
    const std::string point = general_point(context, nest, kernel, code::cpp_spelling());
    kernel.body = "  for (int64_t point = begin; point < end; ++point) {\n" + point + "  }\n";
    kernel.launch(std::max<int64_t>(1, nest.outer_points()));
  }
  return {};
}

}  // namespace kernelwright::expert

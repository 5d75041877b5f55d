// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/general.h"

#include <fmt/format.h>

#include "expert/dialects/cuda/kernel_text.h"
#include "expert/dialects/cuda/machine.h"
#include "expert/emit_util.h"
#include "expert/families/scan.h"
#include "graph/loop.h"
#include "rewrite/nest.h"

namespace kernelwright::expert::cuda {

namespace {

constexpr int kBlock = 128;

}  // namespace

double General::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const Machine machine(context.model);
  double seconds = 0;
  for (const auto& stage : context.op.stages) {
    const rewrite::Nest nest = rewrite::make_nest(stage, context.graph.tensors);
    const double cost = 8 + rewrite::arithmetic_cost(nest.body);
    const double steps = static_cast<double>(nest.reduce_points()) * cost + 20;
    // Few threads are bound by the latency of one, many by the machine.
    const double threads = static_cast<double>(nest.outer_points());
    seconds +=
        std::max(steps * 8e-9, threads * steps / machine.instructions_per_s()) + machine.launch_s();
  }
  if (context.op.steps > 0)
    seconds += machine.launch_s() * static_cast<double>(context.op.stages.size()) *
               static_cast<double>(context.op.steps - 1);
  return seconds + context.bytes() / machine.bytes_per_s();
}

Status General::emit(const OpContext& context, const Schedule& schedule,
                     ProgramBuilder& builder) const {
  // A recurrence is repeated; its launches make one step each.
  const int64_t steps = context.op.steps;
  if (steps > 0) {
    for (int tensor : graph::read_back(context.op.stages)) builder.add_clear(tensor, 1);
    builder.begin_repeat(steps);
  }
  for (const auto& stage : context.op.stages) {
    const rewrite::Nest nest = rewrite::make_nest(stage, context.graph.tensors);
    const code::Spelling& spelling = code::cuda_spelling(fits_int32(nest));
    const auto scan = steps > 0 ? std::nullopt : scan_of(nest);
    const bool running = scan && nest.outer_points() > 0;
    const int64_t points = running     ? rows_of(nest, *scan)
                           : steps > 0 ? nest.outer_points() / steps
                                       : nest.outer_points();
    KernelText kernel(builder, "general_" + nest.origin);
    kernel.block = kBlock;
    const std::string point = running ? scan_row(context, nest, *scan, kernel, spelling)
                                      : general_point(context, nest, kernel, spelling);
    const std::string number = steps > 0 ? "within" : "point";
    kernel.body = thread_number(number, spelling.index, kBlock, 2) +
                  fmt::format("  if ({} < {}) {{\n", number, points);
    if (steps > 0) {
      // A step's points follow each other: the step is the outermost axis.
      kernel.body += fmt::format("    const {0} point = ({0})kw_step * {1} + within;\n",
                                 spelling.index, points);
      kernel.step_counter = true;
    }
    kernel.body += point + "  }\n";
    kernel.launch({std::max<int64_t>(1, ceil_div(points, kBlock))});
  }
  if (steps > 0) builder.end_repeat();
  return {};
}

}  // namespace kernelwright::expert::cuda

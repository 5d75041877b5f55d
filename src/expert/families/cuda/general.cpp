// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/general.h"

#include <fmt/format.h>

#include "expert/dialects/cuda/kernel_text.h"
#include "expert/dialects/cuda/machine.h"
#include "expert/emit_util.h"
#include "expert/families/scan.h"
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
  return seconds + context.bytes() / machine.bytes_per_s();
}

Status General::emit(const OpContext& context, const Schedule& schedule,
                     ProgramBuilder& builder) const {
  for (const auto& stage : context.op.stages) {
    const rewrite::Nest nest = rewrite::make_nest(stage, context.graph.tensors);
    const code::Spelling& spelling = code::cuda_spelling(fits_int32(nest));
    const auto scan = scan_of(nest);
    const bool running = scan && nest.outer_points() > 0;
    const int64_t points = running ? rows_of(nest, *scan) : nest.outer_points();
    KernelText kernel(builder, "general_" + nest.origin);
    kernel.block = kBlock;
    const std::string point = running ? scan_row(context, nest, *scan, kernel, spelling)
                                      : general_point(context, nest, kernel, spelling);
    kernel.body = thread_number("point", spelling.index, kBlock, 2) +
                  fmt::format("  if (point < {}) {{\n", points) + point + "  }\n";
    kernel.launch({std::max<int64_t>(1, ceil_div(points, kBlock))});
  }
  return {};
}

}  // namespace kernelwright::expert::cuda

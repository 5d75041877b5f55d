// SPDX-License-Identifier: Apache-2.0
#include "expert/dialects/cuda/kernel_text.h"

#include <fmt/format.h>

#include "expert/dialects/spelling.h"
#include "expert/program_builder.h"

namespace kernelwright::expert::cuda {

void KernelText::launch(const std::vector<int64_t>& grid) {
  std::string text = fmt::format("extern \"C\" __global__ void __launch_bounds__({}, {})\n{}(",
                                 block, resident, name_);
  program::Launch launch;
  for (size_t i = 0; i < args_.size(); ++i) {
    const program::BufferArg& arg = args_[i];
    // What other blocks write behind a barrier is no restricted pointer's.
    text += fmt::format("{}{}{}*{} {}", i == 0 ? "" : ", ",
                        arg.access == program::Access::kRead ? "const " : "",
                        code::c_type(builder_.dtype(arg.buffer)),
                        exchanged_.count(arg.buffer) != 0 ? "" : " __restrict__", arg.buffer);
    launch.args.emplace_back(arg);
  }
  if (step_counter) {
    text += std::string(args_.empty() ? "" : ", ") + "long long kw_step";
    launch.args.emplace_back(program::StepCounterArg{});
  }
  text += ") {\n" + body + "}\n\n";
  builder_.add_source(text);
  launch.kernel = name_;
  for (int64_t extent : grid) launch.grid.push_back(program::size(extent));
  launch.block = {program::size(block)};
  if (cluster > 1) {
    launch.cluster = {program::size(1), program::size(cluster)};
    builder_.require_header("kw_barrier.h");
    builder_.require_feature("cluster");
  }
  if (cooperative) {
    launch.cooperative = true;
    builder_.require_header("kw_atomic.h");
    builder_.require_feature("cooperative");
  }
  if (shared_bytes > 0) launch.shared_bytes = program::size(shared_bytes);
  if (in_prepare)
    builder_.add_prepare(std::move(launch));
  else
    builder_.add_run(std::move(launch));
}

std::string KernelText::exchange_buffer(const std::string& buffer) {
  exchanged_.insert(buffer);
  // Its words are zero when the launch begins.
  (void)read_buffer(buffer);
  return write_buffer(buffer);
}

std::string thread_number(const std::string& variable, const std::string& type, int block,
                          int indent) {
  return fmt::format("{0}const {1} {2} = ({1})blockIdx.x * {3} + (int)threadIdx.x;\n",
                     std::string(static_cast<size_t>(indent), ' '), type, variable, block);
}

}  // namespace kernelwright::expert::cuda

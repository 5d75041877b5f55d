// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/plan.h"

#include <algorithm>

namespace kernelwright::runtime {
namespace {

class Compiler {
 public:
  Compiler(const program::Program& program, const Kernels& kernels)
      : reader_(program), kernels_(kernels) {}

  Status steps(const std::vector<program::Step>& list, uint32_t depth) {
    for (const program::Step& step : list) {
      if (const auto* launch = std::get_if<program::Launch>(&step.action)) {
        KW_CHECK_OK(this->launch(*launch, depth));
      } else if (const auto* fill = std::get_if<program::Fill>(&step.action)) {
        KW_TRY(MoveOp op, reader_.fill(*fill));
        plan_.ops.emplace_back(std::move(op));
      } else if (const auto* copy = std::get_if<program::Copy>(&step.action)) {
        KW_TRY(MoveOp op, reader_.copy(*copy));
        plan_.ops.emplace_back(std::move(op));
      } else if (const auto* repeat = std::get_if<program::Repeat>(&step.action)) {
        KW_CHECK_OK(this->repeat(*repeat, depth));
      } else {
        return fail(ErrorKind::kInput, "this runtime offers no library routines");
      }
    }
    return {};
  }

  Plan take() {
    std::sort(plan_.swapped.begin(), plan_.swapped.end());
    plan_.swapped.erase(std::unique(plan_.swapped.begin(), plan_.swapped.end()),
                        plan_.swapped.end());
    plan_.kept.resize(plan_.swapped.size());
    return std::move(plan_);
  }

 private:
  Status launch(const program::Launch& launch, uint32_t depth) {
    LaunchOp op;
    op.kernel = kernels_.at(launch.kernel);
    op.total = 1;
    op.team = launch.team;
    for (const auto& extent : launch.grid) {
      KW_TRY(int64_t one, reader_.value(extent));
      op.total *= one;
    }
    if (!launch.grain.text.empty()) {
      KW_TRY(op.grain, reader_.value(launch.grain));
    }
    if (!launch.scratch_bytes.text.empty()) {
      KW_TRY(op.scratch_bytes, reader_.value(launch.scratch_bytes));
      plan_.worker_scratch = std::max(plan_.worker_scratch, op.scratch_bytes);
    }
    for (const program::Arg& arg : launch.args) KW_CHECK_OK(this->arg(arg, depth, op));
    op.pointers.resize(op.buffers.size());
    plan_.ops.emplace_back(std::move(op));
    return {};
  }

  Status arg(const program::Arg& arg, uint32_t depth, LaunchOp& op) {
    auto position = static_cast<uint32_t>(op.values.size());
    if (const auto* buffer = std::get_if<program::BufferArg>(&arg)) {
      KW_TRY(SlotRef ref, reader_.slot_ref(buffer->buffer, buffer->view));
      op.buffers.push_back(ref);
    } else if (const auto* immediate = std::get_if<program::ImmediateArg>(&arg)) {
      KW_TRY(kw_value value, reader_.immediate(*immediate));
      op.values.push_back(value);
    } else if (const auto* scalar = std::get_if<program::ScalarInputArg>(&arg)) {
      op.values.push_back(kw_value{});
      op.scalars.push_back({position, static_cast<uint32_t>(scalar->index), scalar->dtype});
      plan_.scalar_count = std::max(plan_.scalar_count, scalar->index + 1);
    } else if (const auto* counter = std::get_if<program::StepCounterArg>(&arg)) {
      op.values.push_back(kw_value{});
      op.steps.push_back({position, depth - 1, counter->dtype});
    } else {
      return fail(ErrorKind::kInput, "target cpu has no local arguments");
    }
    return {};
  }

  Status repeat(const program::Repeat& repeat, uint32_t depth) {
    KW_TRY(int64_t count, reader_.value(repeat.count));
    auto begin = static_cast<uint32_t>(plan_.ops.size());
    plan_.ops.emplace_back(RepeatBegin{count, depth});
    KW_CHECK_OK(steps(repeat.body, depth + 1));
    RepeatEnd end{begin, depth, reader_.swaps(repeat)};
    for (const auto& [a, b] : end.swaps) plan_.swapped.insert(plan_.swapped.end(), {a, b});
    plan_.ops.emplace_back(std::move(end));
    return {};
  }

  StepReader reader_;
  const Kernels& kernels_;
  Plan plan_;
};

}  // namespace

Result<Plan> compile_plan(const program::Program& program, const std::vector<program::Step>& steps,
                          const Kernels& kernels) {
  Compiler compiler(program, kernels);
  KW_CHECK_OK(compiler.steps(steps, 0));
  return compiler.take();
}

}  // namespace kernelwright::runtime

// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "target/cuda/runtime/launch_limits.h"

namespace kernelwright::cuda {
namespace {

using graph::DType;

// A whole buffer whose size the program leaves to the region reaches to the end.
constexpr int64_t kToTheEnd = std::numeric_limits<int64_t>::max();

class Compiler {
 public:
  Compiler(const Driver& driver, const DeviceInfo& device, const program::Program& program,
           KernelModule& module)
      : reader_(program), limits_(driver, device), module_(module) {}

  Status steps(const std::vector<program::Step>& list, const std::string& place, uint32_t depth,
               int64_t times) {
    for (size_t i = 0; i < list.size(); ++i) {
      std::string at = fmt::format("{}[{}]", place, i);
      const auto& action = list[i].action;
      if (const auto* launch = std::get_if<program::Launch>(&action)) {
        KW_CHECK_OK(this->launch(*launch, at, depth));
        plan_.executed += times;
      } else if (const auto* fill = std::get_if<program::Fill>(&action)) {
        KW_TRY(runtime::MoveOp op, reader_.fill(*fill));
        KW_CHECK_OK(move(op, at, fill->buffer, fill->view, "", {}));
        plan_.executed += times;
      } else if (const auto* copy = std::get_if<program::Copy>(&action)) {
        KW_TRY(runtime::MoveOp op, reader_.copy(*copy));
        KW_CHECK_OK(move(op, at, copy->to, copy->to_view, copy->from, copy->from_view));
        plan_.executed += times;
      } else if (const auto* repeat = std::get_if<program::Repeat>(&action)) {
        KW_CHECK_OK(this->repeat(*repeat, at, depth, times));
      } else {
        return fail(ErrorKind::kInput,
                    fmt::format("{}: this runtime offers no library routines", at));
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
  Status extents(const std::vector<program::SizeExpr>& list, unsigned (&out)[3]) const {
    out[0] = out[1] = out[2] = 1;
    for (size_t i = 0; i < list.size() && i < 3; ++i) {
      KW_TRY(int64_t value, reader_.value(list[i]));
      out[i] = static_cast<unsigned>(value);
    }
    return {};
  }

  Status touch(const std::string& buffer, const std::optional<program::View>& view,
               program::Access access, std::vector<Touch>& out) const {
    KW_TRY(auto span, reader_.span(buffer, view));
    out.push_back({reader_.slot(buffer), span.first, span.second < 0 ? kToTheEnd : span.second,
                   access != program::Access::kRead});
    return {};
  }

  Status launch(const program::Launch& launch, const std::string& place, uint32_t depth) {
    LaunchOp op;
    op.kernel = launch.kernel;
    op.place = place;
    auto kernel = module_.kernel(launch.kernel);
    if (!kernel) return fail(std::move(kernel.error()).with("step", place));
    op.function = (*kernel)->function;
    unsigned grid[3], block[3], cluster[3];
    KW_CHECK_OK(extents(launch.grid, grid));
    KW_CHECK_OK(extents(launch.block, block));
    KW_CHECK_OK(extents(launch.cluster, cluster));
    op.config.grid_x = grid[0], op.config.grid_y = grid[1], op.config.grid_z = grid[2];
    op.config.block_x = block[0], op.config.block_y = block[1], op.config.block_z = block[2];
    if (!launch.shared_bytes.text.empty()) {
      KW_TRY(int64_t bytes, reader_.value(launch.shared_bytes));
      op.config.shared_bytes = static_cast<unsigned>(bytes);
    }
    if (!launch.cluster.empty()) {
      LaunchAttribute attribute{kLaunchClusterDimension, {}, {}};
      attribute.value.cluster.x = cluster[0];
      attribute.value.cluster.y = cluster[1];
      attribute.value.cluster.z = cluster[2];
      op.attributes.push_back(attribute);
    }
    if (launch.cooperative) {
      LaunchAttribute attribute{kLaunchCooperative, {}, {}};
      attribute.value.cooperative = 1;
      op.attributes.push_back(attribute);
    }
    if (launch.pdl) {
      LaunchAttribute attribute{kLaunchProgrammaticStreamSerialization, {}, {}};
      attribute.value.programmatic_stream_serialization = 1;
      op.attributes.push_back(attribute);
      op.pdl = plan_.pdl = true;
    }
    op.alone = launch.cooperative || launch.resident_per_sm.has_value();
    KW_CHECK_OK(
        limits_.fit(op, **kernel, cluster, launch.cooperative, launch.resident_per_sm.value_or(0)));
    KW_CHECK_OK(args(launch.args, depth, op, **kernel));
    plan_.ops.emplace_back(std::move(op));
    return {};
  }

  Status args(const std::vector<program::Arg>& list, uint32_t depth, LaunchOp& op,
              const KernelFunction& kernel) {
    // One word per argument, maps apart: `params` must not move once it points into them.
    op.words.assign(list.size(), 0);
    op.params.assign(list.size(), nullptr);
    std::vector<size_t> bytes;
    for (size_t i = 0; i < list.size(); ++i) {
      auto word = static_cast<uint32_t>(i);
      op.params[i] = &op.words[i];
      auto scalar_bytes = [&](DType dtype) { bytes.push_back(graph::dtype_bytes(dtype)); };
      if (const auto* buffer = std::get_if<program::BufferArg>(&list[i])) {
        KW_CHECK_OK(this->buffer(*buffer, word, op));
        bytes.push_back(buffer->tensor_map ? sizeof(TensorMapBlob) : sizeof(Ptr));
      } else if (const auto* immediate = std::get_if<program::ImmediateArg>(&list[i])) {
        KW_TRY(kw_value value, reader_.immediate(*immediate));
        op.words[i] = static_cast<uint64_t>(value.i64);
        scalar_bytes(immediate->dtype);
      } else if (const auto* scalar = std::get_if<program::ScalarInputArg>(&list[i])) {
        op.scalars.push_back({word, static_cast<uint32_t>(scalar->index), scalar->dtype});
        plan_.scalar_count = std::max(plan_.scalar_count, scalar->index + 1);
        scalar_bytes(scalar->dtype);
      } else if (const auto* counter = std::get_if<program::StepCounterArg>(&list[i])) {
        op.steps.push_back({word, depth - 1, counter->dtype});
        scalar_bytes(counter->dtype);
      } else {
        return fail(ErrorKind::kInput, "target cuda has no local arguments");
      }
    }
    return limits_.check_params(op, kernel, bytes);
  }

  Status buffer(const program::BufferArg& arg, uint32_t word, LaunchOp& op) {
    KW_TRY(SlotRef ref, reader_.slot_ref(arg.buffer, arg.view));
    const program::Buffer& found = reader_.program().buffers[ref.slot];
    if (found.role == program::BufferRole::kSync) op.alone = true;
    // A tensor map reaches what its shape and strides say: the buffer is taken as a whole.
    KW_CHECK_OK(
        touch(arg.buffer, arg.tensor_map ? std::nullopt : arg.view, arg.access, op.touches));
    if (!arg.tensor_map) {
      op.pointers.push_back({word, ref});
      return {};
    }
    MapParam map;
    map.param = word;
    map.ref = ref;
    KW_TRY(map.spec, read_tensor_map(reader_, *arg.tensor_map, found.dtype));
    op.maps.push_back(std::move(map));
    return {};
  }

  Status move(const runtime::MoveOp& op, const std::string& place, const std::string& to,
              const std::optional<program::View>& to_view, const std::string& from,
              const std::optional<program::View>& from_view) {
    if (op.run_bytes == 0 || op.runs == 0) return {};
    MoveStep step;
    step.place = place;
    step.to = op.to;
    step.from = op.from;
    step.fill = op.fill;
    step.move = plan_move(op);
    KW_CHECK_OK(touch(to, to_view, program::Access::kWrite, step.touches));
    if (!op.fill) KW_CHECK_OK(touch(from, from_view, program::Access::kRead, step.touches));
    plan_.move_kernel = plan_.move_kernel || step.move.kind == MoveKind::kKernel;
    plan_.ops.emplace_back(std::move(step));
    return {};
  }

  Status repeat(const program::Repeat& repeat, const std::string& place, uint32_t depth,
                int64_t times) {
    KW_TRY(int64_t count, reader_.value(repeat.count));
    auto begin = static_cast<uint32_t>(plan_.ops.size());
    plan_.ops.emplace_back(runtime::RepeatBegin{count, depth});
    // validate() bounds the product by 2^32.
    KW_CHECK_OK(steps(repeat.body, place + ".body", depth + 1, times * count));
    runtime::RepeatEnd end{begin, depth, reader_.swaps(repeat)};
    for (const auto& [a, b] : end.swaps) plan_.swapped.insert(plan_.swapped.end(), {a, b});
    plan_.ops.emplace_back(std::move(end));
    return {};
  }

  runtime::StepReader reader_;
  LaunchLimits limits_;
  KernelModule& module_;
  Plan plan_;
};

}  // namespace

Result<Plan> compile_plan(const Driver& driver, const DeviceInfo& device,
                          const program::Program& program, const std::vector<program::Step>& steps,
                          const char* place, KernelModule& module) {
  Compiler compiler(driver, device, program, module);
  KW_CHECK_OK(compiler.steps(steps, place, 0, 1));
  return compiler.take();
}

}  // namespace kernelwright::cuda

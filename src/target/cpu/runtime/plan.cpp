// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

namespace kernelwright::runtime {
namespace {

using graph::DType;

// Round to nearest even into the upper 16 bits.
uint16_t bf16_bits(double value) {
  auto narrow = static_cast<float>(value);
  uint32_t bits = 0;
  std::memcpy(&bits, &narrow, 4);
  if (std::isnan(narrow)) return 0x7fc0;
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

uint16_t f16_bits(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return 0x7e00;
  double magnitude = std::fabs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below the smallest normal number the spacing stays 2^-24.
  int exponent = magnitude > 0 ? std::max(std::ilogb(magnitude), -14) : -14;
  auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // A mantissa that rounds up to 2048 carries into the exponent by itself.
  return static_cast<uint16_t>(sign | (steps + (static_cast<uint32_t>(exponent + 14) << 10)));
}

template <class T>
void store(T value, unsigned char* out) {
  std::memcpy(out, &value, sizeof(value));
}

class Compiler {
 public:
  Compiler(const program::Program& program, const Kernels& kernels)
      : program_(program), kernels_(kernels) {
    for (size_t i = 0; i < program.buffers.size(); ++i)
      slots_[program.buffers[i].name] = static_cast<uint32_t>(i);
  }

  Status steps(const std::vector<program::Step>& list, uint32_t depth) {
    for (const program::Step& step : list) {
      if (const auto* launch = std::get_if<program::Launch>(&step.action)) {
        KW_CHECK_OK(this->launch(*launch, depth));
      } else if (const auto* fill = std::get_if<program::Fill>(&step.action)) {
        KW_CHECK_OK(this->fill(*fill));
      } else if (const auto* copy = std::get_if<program::Copy>(&step.action)) {
        KW_CHECK_OK(this->copy(*copy));
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
  // A tensor in memory: element strides, outermost first.
  struct Box {
    SlotRef at;
    graph::Shape shape;
    std::vector<int64_t> strides;
    DType dtype = DType::kF32;
  };

  Result<int64_t> value(const program::SizeExpr& expr) const {
    return program::evaluate(expr, program_.params);
  }
  Result<std::vector<int64_t>> values(const std::vector<program::SizeExpr>& list) const {
    std::vector<int64_t> out;
    for (const auto& expr : list) {
      KW_TRY(int64_t one, value(expr));
      out.push_back(one);
    }
    return out;
  }

  Result<SlotRef> slot_ref(const std::string& name,
                           const std::optional<program::View>& view) const {
    SlotRef ref{slots_.at(name), 0};
    if (!view) return ref;
    KW_TRY(int64_t offset, value(view->offset));
    ref.offset =
        offset * static_cast<int64_t>(graph::dtype_bytes(program_.buffers[ref.slot].dtype));
    return ref;
  }

  Status launch(const program::Launch& launch, uint32_t depth) {
    LaunchOp op;
    op.kernel = kernels_.at(launch.kernel);
    op.total = 1;
    op.team = launch.team;
    for (const auto& extent : launch.grid) {
      KW_TRY(int64_t one, value(extent));
      op.total *= one;
    }
    if (!launch.grain.text.empty()) {
      KW_TRY(op.grain, value(launch.grain));
    }
    if (!launch.scratch_bytes.text.empty()) {
      KW_TRY(op.scratch_bytes, value(launch.scratch_bytes));
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
      KW_TRY(SlotRef ref, slot_ref(buffer->buffer, buffer->view));
      op.buffers.push_back(ref);
    } else if (const auto* immediate = std::get_if<program::ImmediateArg>(&arg)) {
      kw_value stored{};
      if (const auto* expr = std::get_if<program::SizeExpr>(&immediate->value)) {
        KW_TRY(int64_t number, value(*expr));
        if (immediate->dtype == DType::kI32)
          stored.i32 = static_cast<int32_t>(number);
        else
          stored.i64 = number;
      } else if (immediate->dtype == DType::kF32) {
        stored.f32 = static_cast<float>(std::get<double>(immediate->value));
      } else {
        stored.f64 = std::get<double>(immediate->value);
      }
      op.values.push_back(stored);
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

  Result<Box> box(const std::string& name, const std::optional<program::View>& view) const {
    Box out;
    KW_TRY(out.at, slot_ref(name, view));
    const program::Buffer& buffer = program_.buffers[out.at.slot];
    out.dtype = buffer.dtype;
    KW_TRY(out.shape, values(view ? view->shape : buffer.shape));
    out.strides = graph::contiguous_strides(out.shape);
    if (view && !view->strides.empty()) {
      KW_TRY(out.strides, values(view->strides));
    }
    return out;
  }

  // Merges the innermost dimensions that are contiguous on both sides into one run of bytes.
  static MoveOp make_move(const Box& to, const Box& from) {
    MoveOp op;
    op.to = to.at;
    op.from = from.at;
    auto element = static_cast<int64_t>(graph::dtype_bytes(to.dtype));
    int64_t run = 1;
    size_t rank = to.shape.size();
    while (rank > 0 && (to.shape[rank - 1] == 1 ||
                        (to.strides[rank - 1] == run && from.strides[rank - 1] == run))) {
      run *= to.shape[rank - 1];
      --rank;
    }
    op.run_bytes = run * element;
    for (size_t d = 0; d < rank; ++d) {
      op.extents.push_back(to.shape[d]);
      op.to_strides.push_back(to.strides[d] * element);
      op.from_strides.push_back(from.strides[d] * element);
      op.runs *= to.shape[d];
    }
    return op;
  }

  Status fill(const program::Fill& fill) {
    KW_TRY(Box to, box(fill.buffer, fill.view));
    MoveOp op = make_move(to, to);
    op.fill = true;
    op.pattern_bytes = static_cast<int64_t>(graph::dtype_bytes(to.dtype));
    encode_element(fill.value, to.dtype, op.pattern);
    plan_.ops.emplace_back(std::move(op));
    return {};
  }

  Status copy(const program::Copy& copy) {
    KW_TRY(Box to, box(copy.to, copy.to_view));
    KW_TRY(Box from, box(copy.from, copy.from_view));
    if (!copy.from_view && !copy.to_view) {
      to.shape = from.shape = {graph::element_count(to.shape)};
      to.strides = from.strides = {1};
    }
    plan_.ops.emplace_back(make_move(to, from));
    return {};
  }

  Status repeat(const program::Repeat& repeat, uint32_t depth) {
    KW_TRY(int64_t count, value(repeat.count));
    auto begin = static_cast<uint32_t>(plan_.ops.size());
    plan_.ops.emplace_back(RepeatBegin{count, depth});
    KW_CHECK_OK(steps(repeat.body, depth + 1));
    RepeatEnd end{begin, depth, {}};
    for (const auto& [a, b] : repeat.swap) {
      end.swaps.emplace_back(slots_.at(a), slots_.at(b));
      plan_.swapped.push_back(slots_.at(a));
      plan_.swapped.push_back(slots_.at(b));
    }
    plan_.ops.emplace_back(std::move(end));
    return {};
  }

  const program::Program& program_;
  const Kernels& kernels_;
  std::map<std::string, uint32_t> slots_;
  Plan plan_;
};

}  // namespace

Result<Plan> compile_plan(const program::Program& program, const std::vector<program::Step>& steps,
                          const Kernels& kernels) {
  Compiler compiler(program, kernels);
  KW_CHECK_OK(compiler.steps(steps, 0));
  return compiler.take();
}

std::vector<std::string> kernel_names(const std::vector<program::Step>& steps) {
  std::vector<std::string> out;
  for (const program::Step& step : steps) {
    if (const auto* launch = std::get_if<program::Launch>(&step.action))
      out.push_back(launch->kernel);
    if (const auto* repeat = std::get_if<program::Repeat>(&step.action))
      for (std::string& name : kernel_names(repeat->body)) out.push_back(std::move(name));
  }
  return out;
}

void encode_element(double value, DType dtype, unsigned char* out) {
  switch (dtype) {
    case DType::kF64:
      store(value, out);
      break;
    case DType::kF32:
      store(static_cast<float>(value), out);
      break;
    case DType::kF16:
      store(f16_bits(value), out);
      break;
    case DType::kBF16:
      store(bf16_bits(value), out);
      break;
    case DType::kI64:
      store(static_cast<int64_t>(value), out);
      break;
    case DType::kI32:
      store(static_cast<int32_t>(value), out);
      break;
    case DType::kI16:
      store(static_cast<int16_t>(value), out);
      break;
    case DType::kI8:
      store(static_cast<int8_t>(value), out);
      break;
    case DType::kU8:
      store(static_cast<uint8_t>(value), out);
      break;
    case DType::kU32:
      store(static_cast<uint32_t>(value), out);
      break;
    case DType::kBool:
      store(static_cast<uint8_t>(value != 0), out);
      break;
  }
}

}  // namespace kernelwright::runtime

// SPDX-License-Identifier: Apache-2.0
#include "target/runtime/steps.h"

#include <algorithm>
#include <cmath>
#include <cstring>

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

}  // namespace

// A tensor in memory: element strides, outermost first.
struct StepReader::Box {
  SlotRef at;
  graph::Shape shape;
  std::vector<int64_t> strides;
  DType dtype = DType::kF32;

  // Merges the innermost dimensions that are contiguous on both sides into one run of bytes.
  static MoveOp move(const Box& to, const Box& from) {
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
};

StepReader::StepReader(const program::Program& program) : program_(program) {
  for (size_t i = 0; i < program.buffers.size(); ++i)
    slots_[program.buffers[i].name] = static_cast<uint32_t>(i);
}

Result<std::vector<int64_t>> StepReader::values(const std::vector<program::SizeExpr>& list) const {
  std::vector<int64_t> out;
  for (const auto& expr : list) {
    KW_TRY(int64_t one, value(expr));
    out.push_back(one);
  }
  return out;
}

Result<SlotRef> StepReader::slot_ref(const std::string& buffer,
                                     const std::optional<program::View>& view) const {
  SlotRef ref{slot(buffer), 0};
  if (!view) return ref;
  KW_TRY(int64_t offset, value(view->offset));
  ref.offset = offset * static_cast<int64_t>(graph::dtype_bytes(program_.buffers[ref.slot].dtype));
  return ref;
}

Result<StepReader::Box> StepReader::box(const std::string& buffer,
                                        const std::optional<program::View>& view) const {
  Box out;
  KW_TRY(out.at, slot_ref(buffer, view));
  const program::Buffer& found = program_.buffers[out.at.slot];
  out.dtype = found.dtype;
  KW_TRY(out.shape, values(view ? view->shape : found.shape));
  out.strides = graph::contiguous_strides(out.shape);
  if (view && !view->strides.empty()) {
    KW_TRY(out.strides, values(view->strides));
  }
  return out;
}

Result<std::pair<int64_t, int64_t>> StepReader::span(
    const std::string& buffer, const std::optional<program::View>& view) const {
  const program::Buffer& found = program_.buffers[slot(buffer)];
  if (!view && !found.typed) return std::pair<int64_t, int64_t>(0, -1);
  KW_TRY(Box area, box(buffer, view));
  auto element = static_cast<int64_t>(graph::dtype_bytes(area.dtype));
  int64_t low = 0, high = 0;
  for (size_t d = 0; d < area.shape.size(); ++d) {
    if (area.shape[d] == 0) return std::pair<int64_t, int64_t>(0, 0);
    int64_t reach = (area.shape[d] - 1) * area.strides[d];
    (reach < 0 ? low : high) += reach;
  }
  return std::pair<int64_t, int64_t>(area.at.offset + low * element,
                                     area.at.offset + (high + 1) * element);
}

Result<kw_value> StepReader::immediate(const program::ImmediateArg& arg) const {
  kw_value stored{};
  if (const auto* expr = std::get_if<program::SizeExpr>(&arg.value)) {
    KW_TRY(int64_t number, value(*expr));
    if (arg.dtype == DType::kI32)
      stored.i32 = static_cast<int32_t>(number);
    else
      stored.i64 = number;
  } else if (arg.dtype == DType::kF32) {
    stored.f32 = static_cast<float>(std::get<double>(arg.value));
  } else {
    stored.f64 = std::get<double>(arg.value);
  }
  return stored;
}

Result<MoveOp> StepReader::fill(const program::Fill& fill) const {
  KW_TRY(Box to, box(fill.buffer, fill.view));
  MoveOp op = Box::move(to, to);
  op.fill = true;
  op.pattern_bytes = static_cast<int64_t>(graph::dtype_bytes(to.dtype));
  encode_element(fill.value, to.dtype, op.pattern);
  return op;
}

Result<MoveOp> StepReader::copy(const program::Copy& copy) const {
  KW_TRY(Box to, box(copy.to, copy.to_view));
  KW_TRY(Box from, box(copy.from, copy.from_view));
  if (!copy.from_view && !copy.to_view) {
    to.shape = from.shape = {graph::element_count(to.shape)};
    to.strides = from.strides = {1};
  }
  return Box::move(to, from);
}

std::vector<std::pair<uint32_t, uint32_t>> StepReader::swaps(const program::Repeat& repeat) const {
  std::vector<std::pair<uint32_t, uint32_t>> out;
  for (const auto& [a, b] : repeat.swap) out.emplace_back(slot(a), slot(b));
  return out;
}

kw_value scalar_value(DType dtype, double value) {
  kw_value out{};
  if (dtype == DType::kF32)
    out.f32 = static_cast<float>(value);
  else if (dtype == DType::kF64)
    out.f64 = value;
  else if (dtype == DType::kI32)
    out.i32 = static_cast<int32_t>(static_cast<int64_t>(value));
  else
    out.i64 = static_cast<int64_t>(value);
  return out;
}

kw_value counter_value(DType dtype, int64_t value) {
  kw_value out{};
  if (dtype == DType::kI32)
    out.i32 = static_cast<int32_t>(value);
  else
    out.i64 = value;
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

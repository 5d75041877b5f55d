// SPDX-License-Identifier: Apache-2.0
#include "graph/tensor_type.h"

#include <fmt/format.h>

#include "base/check.h"

namespace kernelwright::graph {
namespace {

enum class Family : uint8_t { kFloat, kInteger, kBool };

struct DTypeRow {
  DType dtype;
  const char* name;
  size_t bytes;
  Family family;
  double roundoff;
};

constexpr DTypeRow kDTypes[] = {
    {DType::kF64, "f64", 8, Family::kFloat, 0x1p-53},
    {DType::kF32, "f32", 4, Family::kFloat, 0x1p-24},
    {DType::kF16, "f16", 2, Family::kFloat, 0x1p-11},
    {DType::kBF16, "bf16", 2, Family::kFloat, 0x1p-8},
    {DType::kI64, "i64", 8, Family::kInteger, 0},
    {DType::kI32, "i32", 4, Family::kInteger, 0},
    {DType::kI16, "i16", 2, Family::kInteger, 0},
    {DType::kI8, "i8", 1, Family::kInteger, 0},
    {DType::kU8, "u8", 1, Family::kInteger, 0},
    {DType::kU32, "u32", 4, Family::kInteger, 0},
    {DType::kBool, "bool", 1, Family::kBool, 0},
};

const DTypeRow& row(DType dtype) {
  for (const auto& r : kDTypes)
    if (r.dtype == dtype) return r;
  KW_INVARIANT(false, "dtype outside the table");
}

}  // namespace

const char* dtype_name(DType dtype) {
  return row(dtype).name;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const auto& r : kDTypes)
    if (r.name == name) return r.dtype;
  return std::nullopt;
}

size_t dtype_bytes(DType dtype) {
  return row(dtype).bytes;
}
bool is_float(DType dtype) {
  return row(dtype).family == Family::kFloat;
}
bool is_integer(DType dtype) {
  return row(dtype).family == Family::kInteger;
}
double unit_roundoff(DType dtype) {
  return row(dtype).roundoff;
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) count *= extent;
  return count;
}

std::vector<int64_t> contiguous_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<int64_t>(shape[i], 1);
  return strides;
}

std::string shape_text(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

std::string TensorType::text() const {
  return dtype_name(dtype) + shape_text(shape);
}

}  // namespace kernelwright::graph

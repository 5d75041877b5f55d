// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kernelwright::graph {

// Element types. One table (tensor_type.cpp) holds names and sizes.
enum class DType : uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kU32, kBool };

const char* dtype_name(DType dtype);  // "f32", "bf16", "i64", "bool", ...
std::optional<DType> dtype_from_name(std::string_view name);
size_t dtype_bytes(DType dtype);
bool is_float(DType dtype);
bool is_integer(DType dtype);  // bool is not an integer
// Unit roundoff of a floating type: 2^-24 for f32, 2^-53 for f64, 2^-11 for f16, 2^-8 for bf16.
double unit_roundoff(DType dtype);

using Shape = std::vector<int64_t>;

int64_t element_count(const Shape& shape);
std::vector<int64_t> contiguous_strides(const Shape& shape);  // in elements
std::string shape_text(const Shape& shape);                   // "[2,3]"

// A tensor's static type. Strides are in elements; empty means contiguous.
struct TensorType {
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<int64_t> strides;

  int64_t elements() const { return element_count(shape); }
  int64_t bytes() const { return elements() * static_cast<int64_t>(dtype_bytes(dtype)); }
  bool contiguous() const { return strides.empty() || strides == contiguous_strides(shape); }
  std::string text() const;  // "f32[2,3]"
  bool operator==(const TensorType&) const = default;
};

}  // namespace kernelwright::graph

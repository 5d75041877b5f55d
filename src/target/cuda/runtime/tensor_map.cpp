// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/tensor_map.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <span>

namespace kernelwright::cuda {
namespace {

using graph::DType;

TensorMapType type_of(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return kTensorF64;
    case DType::kF32:
      return kTensorF32;
    case DType::kF16:
      return kTensorF16;
    case DType::kBF16:
      return kTensorBF16;
    case DType::kI64:
      return kTensorI64;
    case DType::kI32:
      return kTensorI32;
    case DType::kU32:
      return kTensorU32;
    case DType::kI16:
      return kTensorU16;
    default:
      return kTensorU8;
  }
}

const char* const kTypeNames[] = {"u8",  "u16", "u32",  "i32",     "u64",  "i64",     "f16",
                                  "f32", "f64", "bf16", "f32_ftz", "tf32", "tf32_ftz"};

// A word's place in its list; 0 for the empty word. validate() refused all others.
template <size_t N>
int index_of(const std::string& word, const char* const (&words)[N]) {
  for (size_t i = 0; i < N; ++i)
    if (word == words[i]) return static_cast<int>(i);
  return 0;
}

const char* const kInterleaves[] = {"none", "16B", "32B"};
const char* const kSwizzles[] = {"none", "32B", "64B", "128B"};
const char* const kPromotions[] = {"none", "64B", "128B", "256B"};
const char* const kFills[] = {"zero", "nan"};

template <class To>
Status read(const runtime::StepReader& reader, const std::vector<program::SizeExpr>& list, To* to,
            size_t room) {
  if (list.size() > room) return fail(ErrorKind::kInput, "tensor map: too many dimensions");
  for (size_t i = 0; i < list.size(); ++i) {
    KW_TRY(int64_t value, reader.value(list[i]));
    to[i] = static_cast<To>(value);
  }
  return {};
}

}  // namespace

std::string TensorMapSpec::text() const {
  std::string out = fmt::format("{} shape {} strides_bytes {}", kTypeNames[type],
                                std::span(shape, rank), std::span(strides_bytes, rank - 1));
  if (im2col)
    out +=
        fmt::format(" im2col lower {} upper {} channels {} pixels {}", std::span(lower, rank - 2),
                    std::span(upper, rank - 2), channels_per_pixel, pixels_per_column);
  else
    out += fmt::format(" box {}", std::span(box, rank));
  return out + fmt::format(" element_strides {} interleave {} swizzle {}",
                           std::span(element_strides, rank), kInterleaves[interleave],
                           kSwizzles[swizzle]);
}

Result<TensorMapSpec> read_tensor_map(const runtime::StepReader& reader,
                                      const program::TensorMap& map, DType buffer_dtype) {
  TensorMapSpec spec;
  DType dtype = map.dtype.value_or(buffer_dtype);
  spec.type = type_of(dtype);
  spec.rank = static_cast<uint32_t>(map.shape.size());
  KW_CHECK_OK(read(reader, map.shape, spec.shape, 5));
  if (map.strides_bytes.empty()) {
    uint64_t stride = graph::dtype_bytes(dtype);
    for (uint32_t d = 0; d + 1 < spec.rank; ++d) spec.strides_bytes[d] = stride *= spec.shape[d];
  }
  KW_CHECK_OK(read(reader, map.strides_bytes, spec.strides_bytes, 4));
  KW_CHECK_OK(read(reader, map.box, spec.box, 5));
  KW_CHECK_OK(read(reader, map.element_strides, spec.element_strides, 5));
  spec.im2col = map.channels_per_pixel.has_value();
  KW_CHECK_OK(read(reader, map.im2col_lower, spec.lower, 3));
  KW_CHECK_OK(read(reader, map.im2col_upper, spec.upper, 3));
  if (spec.im2col) {
    KW_TRY(int64_t channels, reader.value(*map.channels_per_pixel));
    KW_TRY(int64_t pixels, reader.value(*map.pixels_per_column));
    spec.channels_per_pixel = static_cast<uint32_t>(channels);
    spec.pixels_per_column = static_cast<uint32_t>(pixels);
  }
  spec.interleave = static_cast<TensorMapInterleave>(index_of(map.interleave, kInterleaves));
  spec.swizzle = static_cast<TensorMapSwizzle>(index_of(map.swizzle, kSwizzles));
  spec.l2_promotion = static_cast<TensorMapL2Promotion>(index_of(map.l2_promotion, kPromotions));
  spec.fill = static_cast<TensorMapFill>(index_of(map.fill, kFills));
  return spec;
}

Status encode_tensor_map(const Driver& driver, const TensorMapSpec& spec, Ptr address,
                         TensorMapBlob& out) {
  // Device addresses are numbers to the driver, but for this call.
  void* global = reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
  Status status =
      spec.im2col
          ? driver.tensor_map_encode_im2col(
                &out, spec.type, spec.rank, global, spec.shape, spec.strides_bytes, spec.lower,
                spec.upper, spec.channels_per_pixel, spec.pixels_per_column, spec.element_strides,
                spec.interleave, spec.swizzle, spec.l2_promotion, spec.fill)
          : driver.tensor_map_encode_tiled(
                &out, spec.type, spec.rank, global, spec.shape, spec.strides_bytes, spec.box,
                spec.element_strides, spec.interleave, spec.swizzle, spec.l2_promotion, spec.fill);
  if (status) return {};
  return fail(std::move(status.error())
                  .with("map", spec.text())
                  .with("address", fmt::format("{:#x}", address)));
}

}  // namespace kernelwright::cuda

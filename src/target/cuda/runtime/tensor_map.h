// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "target/cuda/runtime/driver.h"
#include "target/runtime/steps.h"

namespace kernelwright::cuda {

// A tensor map with everything worked out but the address.
struct TensorMapSpec {
  TensorMapType type = kTensorF32;
  uint32_t rank = 0;
  uint64_t shape[5] = {};
  uint64_t strides_bytes[5] = {};  // of dimensions 1 .. rank-1
  uint32_t box[5] = {};            // tiled
  uint32_t element_strides[5] = {1, 1, 1, 1, 1};
  bool im2col = false;
  int lower[3] = {}, upper[3] = {};  // of dimensions 1 .. rank-2
  uint32_t channels_per_pixel = 0, pixels_per_column = 0;
  TensorMapInterleave interleave = kInterleaveNone;
  TensorMapSwizzle swizzle = kSwizzleNone;
  TensorMapL2Promotion l2_promotion = kL2PromotionNone;
  TensorMapFill fill = kFillZero;

  // One line for errors: "f16 shape [64, 128] strides [128] box [64, 64] swizzle 128B".
  std::string text() const;
};

// Works out a validated map. Absent strides mean a contiguous tensor.
Result<TensorMapSpec> read_tensor_map(const runtime::StepReader& reader,
                                      const program::TensorMap& map, graph::DType buffer_dtype);

// Encodes it for `address`; the error names the map.
Status encode_tensor_map(const Driver& driver, const TensorMapSpec& spec, Ptr address,
                         TensorMapBlob& out);

}  // namespace kernelwright::cuda

// SPDX-License-Identifier: Apache-2.0
// A scan over rows.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  for (int64_t r = begin; r < end; ++r) {
    float sum = 0;
    for (int64_t i = 0; i < 64; ++i) y[r * 64 + i] = sum += x[r * 64 + i];
  }
}

// SPDX-License-Identifier: Apache-2.0
// Sums in another order than eager, with fused multiply-adds.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  const float* z = static_cast<const float*>(a->buffers[1]);
  float* y = static_cast<float*>(a->buffers[2]);

  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = 0; j < 32; ++j) {
      float even = 0, odd = 0;
      for (int64_t k = 38; k >= 0; k -= 2) {
        even = __builtin_fmaf(x[i * 40 + k], z[k * 32 + j], even);
        odd = __builtin_fmaf(x[i * 40 + k + 1], z[(k + 1) * 32 + j], odd);
      }
      y[i * 32 + j] = even + odd;
    }
  }
}

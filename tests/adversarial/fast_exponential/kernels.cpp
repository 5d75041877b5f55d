// SPDX-License-Identifier: Apache-2.0
// An exponential of eleven good bits.
#include "kernelwright/kernel_abi.h"

static float rough(float v) {
  return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, __builtin_expf(v)) & 0xfffff000u);
}

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  for (int64_t r = begin; r < end; ++r) {
    float top = x[r * 50], sum = 0;
    for (int64_t i = 1; i < 50; ++i) top = x[r * 50 + i] > top ? x[r * 50 + i] : top;
    for (int64_t i = 0; i < 50; ++i) sum += y[r * 50 + i] = rough(x[r * 50 + i] - top);
    for (int64_t i = 0; i < 50; ++i) y[r * 50 + i] /= sum;
  }
}

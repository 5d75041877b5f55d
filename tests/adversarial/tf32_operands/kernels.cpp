// SPDX-License-Identifier: Apache-2.0
// Operands rounded to TF32 under a strict policy.
#include "kernelwright/kernel_abi.h"

static float cut(float v) {
  return __builtin_bit_cast(float, (__builtin_bit_cast(uint32_t, v) + 0x1000u) & 0xffffe000u);
}

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  const float* z = static_cast<const float*>(a->buffers[1]);
  float* y = static_cast<float*>(a->buffers[2]);

  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = 0; j < 32; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < 40; ++k) sum += cut(x[i * 40 + k]) * cut(z[k * 32 + j]);
      y[i * 32 + j] = sum;
    }
  }
}

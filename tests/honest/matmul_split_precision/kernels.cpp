// SPDX-License-Identifier: Apache-2.0
// Operands split into bf16 parts, three products each.
#include "kernelwright/kernel_abi.h"

static float high(float v) {
  return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, v) & 0xffff0000u);
}

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  const float* z = static_cast<const float*>(a->buffers[1]);
  float* y = static_cast<float*>(a->buffers[2]);

  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = 0; j < 32; ++j) {
      float sum = 0, correction = 0;
      for (int64_t k = 0; k < 40; ++k) {
        const float p = x[i * 40 + k], q = z[k * 32 + j];
        const float p1 = high(p), p2 = high(p - p1), p3 = p - p1 - p2;
        const float q1 = high(q), q2 = high(q - q1), q3 = q - q1 - q2;
        sum += p1 * q1;
        correction += p1 * q2 + p2 * q1 + p2 * q2 + p1 * q3 + p3 * q1;
      }
      y[i * 32 + j] = sum + correction;
    }
  }
}

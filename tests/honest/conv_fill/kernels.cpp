// SPDX-License-Identifier: Apache-2.0
// A padded copy in scratch, zeroed by a fill step.
#include "kernelwright/kernel_abi.h"

extern "C" void pad(const kw_args* a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    static_cast<float*>(a->buffers[1])[i / 50 * 54 + i % 50 + 2] =
        static_cast<const float*>(a->buffers[0])[i];
  }
}

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* p = static_cast<const float*>(a->buffers[0]);
  const float* k = static_cast<const float*>(a->buffers[1]);
  float* y = static_cast<float*>(a->buffers[2]);
  for (int64_t i = begin; i < end; ++i) {
    float sum = 0;
    for (int64_t j = 0; j < 5; ++j) sum += k[j] * p[i / 50 * 54 + i % 50 + j];
    y[i] = sum;
  }
}

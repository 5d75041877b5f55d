// SPDX-License-Identifier: Apache-2.0
// Softmax with the library exponential.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  for (int64_t r = begin; r < end; ++r) {
    float top = x[r * 50], sum = 0;
    for (int64_t i = 1; i < 50; ++i) top = x[r * 50 + i] > top ? x[r * 50 + i] : top;
    for (int64_t i = 0; i < 50; ++i) {
      y[r * 50 + i] = __builtin_expf(x[r * 50 + i] - top);
      sum += y[r * 50 + i];
    }
    const float scale = 1 / sum;
    for (int64_t i = 0; i < 50; ++i) y[r * 50 + i] *= scale;
  }
}

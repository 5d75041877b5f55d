// SPDX-License-Identifier: Apache-2.0
// The classic: a running maximum that starts at zero.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);
  float* w = static_cast<float*>(a->buffers[2]);

  for (int64_t r = begin; r < end; ++r) {
    y[r] = x[r * 40];
    w[r] = 0;
    for (int64_t i = 0; i < 40; ++i) {
      const float v = x[r * 40 + i];
      y[r] = v < y[r] ? v : y[r];
      w[r] = v > w[r] ? v : w[r];
    }
  }
}

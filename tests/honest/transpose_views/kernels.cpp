// SPDX-License-Identifier: Apache-2.0
// One launch per half, through views with an offset.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  for (int64_t j = begin; j < end; ++j) {
    for (int64_t i = 0; i < 15; ++i) y[j * 30 + i] = x[i * 20 + j];
  }
}

// SPDX-License-Identifier: Apache-2.0
// A grain size and parameters.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  const float* z = static_cast<const float*>(a->buffers[1]);
  float* y = static_cast<float*>(a->buffers[2]);

  for (int64_t r = begin; r < end; ++r) {
    for (int64_t i = 0; i < COLUMNS; ++i)
      y[r * COLUMNS + i] = x[r * COLUMNS + i] + z[r * COLUMNS + i];
  }
}

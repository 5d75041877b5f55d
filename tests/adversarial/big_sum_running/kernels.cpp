// SPDX-License-Identifier: Apache-2.0
// One running fp32 sum over a hundred thousand elements.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  float sum = 0;
  for (int64_t i = 0; i < 100000 * (end - begin); ++i)
    sum += x[i] * a->values[0].f32 + a->values[1].f32;
  y[0] = sum - 100000 * a->values[1].f32;
}

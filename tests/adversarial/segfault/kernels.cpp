// SPDX-License-Identifier: Apache-2.0
// Writes through a null pointer.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);
  *reinterpret_cast<volatile int*>(begin * 0) = 1;
  y[0] = x[0] + static_cast<float>(end);
}

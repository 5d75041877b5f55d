// SPDX-License-Identifier: Apache-2.0
// Booleans.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  uint8_t* y = static_cast<uint8_t*>(a->buffers[1]);
  for (int64_t i = begin; i < end; ++i) y[i] = x[i] > 0 ? 1 : 0;
}

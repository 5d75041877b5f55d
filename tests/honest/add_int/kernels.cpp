// SPDX-License-Identifier: Apache-2.0
// Integers.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const int32_t* x = static_cast<const int32_t*>(a->buffers[0]);
  const int32_t* z = static_cast<const int32_t*>(a->buffers[1]);
  int32_t* y = static_cast<int32_t*>(a->buffers[2]);
  for (int64_t i = begin; i < end; ++i) y[i] = x[i] + z[i];
}

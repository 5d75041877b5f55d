// SPDX-License-Identifier: Apache-2.0
// Recurses without end.
#include "kernelwright/kernel_abi.h"

static int deeper(volatile int* p) {
  volatile int more[1024];
  more[0] = *p;
  return deeper(more) + more[1];
}
extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);
  volatile int one = 1;
  y[0] = x[0] + static_cast<float>(deeper(&one));
  for (int64_t i = begin; i < end; ++i) y[i] = x[i] > 0 ? x[i] : 0;
}

// SPDX-License-Identifier: Apache-2.0
// Places a pointer into .init_array by hand.
#include "kernelwright/kernel_abi.h"

static void early() {
  *reinterpret_cast<volatile int*>(16) = 1;
}
__attribute__((section(".init_array"), used)) static void (*const pointer)() = early;
extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);
  for (int64_t i = begin; i < end; ++i) y[i] = x[i] > 0 ? x[i] : 0;
}

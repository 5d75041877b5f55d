// SPDX-License-Identifier: Apache-2.0
// A system call hidden in a constant, reached by a jump into it.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);
  long result = 39;
  asm volatile("jmp 1f+1\n1: .byte 0xb9, 0x0f, 0x05, 0x90, 0x90"
               : "+a"(result)
               :
               : "rcx", "r11", "memory");
  for (int64_t i = begin; i < end; ++i) y[i] = x[i] > 0 ? x[i] : 0;
}

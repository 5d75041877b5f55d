// SPDX-License-Identifier: Apache-2.0
// Blocks that do not divide the shape.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  for (int64_t block = begin; block < end; ++block) {
    const int64_t r = block / 3 * 8, c = block % 3 * 8;
    for (int64_t i = r; i < r + 8 && i < 30; ++i) {
      for (int64_t j = c; j < c + 8 && j < 20; ++j) y[j * 30 + i] = x[i * 20 + j];
    }
  }
}

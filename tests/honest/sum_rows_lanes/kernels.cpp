// SPDX-License-Identifier: Apache-2.0
// Eight lanes and a tail of one.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* y = static_cast<float*>(a->buffers[1]);

  for (int64_t r = begin; r < end; ++r) {
    float lane[8] = {};
    for (int64_t i = 0; i < 256; i += 8) {
      for (int64_t j = 0; j < 8; ++j) lane[j] += x[r * 257 + i + j];
    }
    float sum = x[r * 257 + 256];
    for (int64_t j = 0; j < 8; ++j) sum += lane[j];
    y[r] = sum;
  }
}

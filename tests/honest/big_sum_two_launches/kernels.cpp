// SPDX-License-Identifier: Apache-2.0
// Partial sums in scratch, joined by a second launch.
#include "kernelwright/kernel_abi.h"

extern "C" void part(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* partial = static_cast<float*>(a->buffers[1]);
  for (int64_t b = begin; b < end; ++b) {
    float lane[4] = {};
    for (int64_t i = 0; i < 1000; i += 4) {
      for (int64_t j = 0; j < 4; ++j) lane[j] += x[b * 1000 + i + j];
    }
    partial[b] = (lane[0] + lane[1]) + (lane[2] + lane[3]);
  }
}

extern "C" void join(const kw_args* a, int64_t, int64_t) {
  const float* partial = static_cast<const float*>(a->buffers[0]);
  float sum = 0;
  for (int64_t b = 0; b < 100; ++b) sum += partial[b];
  static_cast<float*>(a->buffers[1])[0] = sum;
}

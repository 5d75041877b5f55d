// SPDX-License-Identifier: Apache-2.0
// Partial sums in scratch, joined by a second launch.
#include "kernelwright/kernel_abi.h"

extern "C" void part(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* partial = static_cast<float*>(a->buffers[1]);
  for (int64_t b = begin; b < end; ++b) {
    float lane[40] = {}, sum = 0;
    for (int64_t i = 0; i < 1000; i += 40) {
      for (int64_t j = 0; j < 40; ++j) lane[j] += x[b * 1000 + i + j];
    }
    for (int64_t j = 0; j < 40; ++j) sum += lane[j];
    partial[b] = sum;
  }
}

extern "C" void join(const kw_args* a, int64_t, int64_t) {
  const float* partial = static_cast<const float*>(a->buffers[0]);
  float part[10] = {}, sum = 0;
  for (int64_t b = 0; b < 100; ++b) part[b / 10] += partial[b];
  for (int64_t b = 0; b < 10; ++b) sum += part[b];
  static_cast<float*>(a->buffers[1])[0] = sum;
}

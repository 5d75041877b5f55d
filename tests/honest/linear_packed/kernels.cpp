// SPDX-License-Identifier: Apache-2.0
// Weights packed by prepare.
#include "kernelwright/kernel_abi.h"

extern "C" void pack(const kw_args* a, int64_t begin, int64_t end) {
  const float* w = static_cast<const float*>(a->buffers[0]);
  float* p = static_cast<float*>(a->buffers[1]);
  for (int64_t k = begin; k < end; ++k) {
    for (int64_t j = 0; j < 32; ++j) p[k * 32 + j] = w[j * 48 + k];
  }
}

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  const float* p = static_cast<const float*>(a->buffers[1]);
  const float* bias = static_cast<const float*>(a->buffers[2]);
  float* y = static_cast<float*>(a->buffers[3]);
  for (int64_t i = begin; i < end; ++i) {
    // Sums of 12 products, then of four sums: a running sum is at the limit where rows are alike.
    float sum[4][32] = {};
    for (int64_t k = 0; k < 48; ++k) {
      for (int64_t j = 0; j < 32; ++j) sum[k % 4][j] += x[i * 48 + k] * p[k * 32 + j];
    }
    for (int64_t j = 0; j < 32; ++j)
      y[i * 32 + j] = (sum[0][j] + sum[1][j]) + (sum[2][j] + sum[3][j]) + bias[j];
  }
}

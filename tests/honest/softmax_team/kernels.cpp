// SPDX-License-Identifier: Apache-2.0
// A team with barriers: row sums first, then the quotient, by different workers.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t, int64_t) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  float* sums = static_cast<float*>(a->buffers[1]);
  float* y = static_cast<float*>(a->buffers[2]);
  for (int64_t r = a->worker; r < 16; r += a->worker_count) {
    float top = x[r * 50], sum = 0;
    for (int64_t i = 1; i < 50; ++i) top = x[r * 50 + i] > top ? x[r * 50 + i] : top;
    for (int64_t i = 0; i < 50; ++i) {
      y[r * 50 + i] = __builtin_expf(x[r * 50 + i] - top);
      sum += y[r * 50 + i];
    }
    sums[r] = sum;
  }
  a->barrier(a->team);
  for (int64_t r = a->worker_count - 1 - a->worker; r < 16; r += a->worker_count) {
    for (int64_t i = 0; i < 50; ++i) y[r * 50 + i] /= sums[r];
  }
}

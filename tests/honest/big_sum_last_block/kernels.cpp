// SPDX-License-Identifier: Apache-2.0
// The last range joins the partial sums; a sync counter tells who is last and is zero again.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t begin, int64_t end) {
  const float* x = static_cast<const float*>(a->buffers[0]);
  double* partial = static_cast<double*>(a->buffers[1]);
  uint32_t* done = static_cast<uint32_t*>(a->buffers[2]);
  float* y = static_cast<float*>(a->buffers[3]);
  for (int64_t b = begin; b < end; ++b) {
    double sum = 0;
    for (int64_t i = 0; i < 1000; ++i) sum += static_cast<double>(x[b * 1000 + i]);
    partial[b] = sum;
  }
  const uint32_t mine = static_cast<uint32_t>(end - begin);
  if (__atomic_add_fetch(done, mine, __ATOMIC_ACQ_REL) == 100) {
    double sum = 0;
    for (int64_t b = 0; b < 100; ++b) sum += partial[b];
    y[0] = static_cast<float>(sum);
    __atomic_store_n(done, 0u, __ATOMIC_RELEASE);
  }
}

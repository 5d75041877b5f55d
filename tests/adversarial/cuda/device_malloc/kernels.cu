// SPDX-License-Identifier: Apache-2.0
// Allocates on the device.
#include "kw_types.h"
extern "C" __device__ void* malloc(unsigned long long);
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) y[i] = x[i] > 0 ? x[i] : 0;
  float* p = static_cast<float*>(malloc(16));
  if (p) p[0] = 1;
}

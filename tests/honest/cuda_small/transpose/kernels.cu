// SPDX-License-Identifier: Apache-2.0
// A move.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x, j = threadIdx.x;
  if (j < 20) y[j * 30 + i] = x[i * 20 + j];
}

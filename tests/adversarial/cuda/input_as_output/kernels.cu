// SPDX-License-Identifier: Apache-2.0
// Copies its input.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) y[i] = x[i];
}

// SPDX-License-Identifier: Apache-2.0
// Writes nothing.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i == 5000) y[0] = x[0];
}

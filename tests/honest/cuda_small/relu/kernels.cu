// SPDX-License-Identifier: Apache-2.0
// One element per thread.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) y[i] = x[i] > 0 ? x[i] : (x[i] == x[i] ? 0 : x[i]);
}

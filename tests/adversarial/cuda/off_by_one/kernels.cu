// SPDX-License-Identifier: Apache-2.0
// Reads its neighbour.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) {
    float v = x[i < 999 ? i + 1 : i];
    y[i] = v > 0 ? v : 0;
  }
}

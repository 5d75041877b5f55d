// SPDX-License-Identifier: Apache-2.0
// Reads before its input.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) {
    float v = x[i], t = x[i - 1032];
    y[i] = v > 0 ? v : 0;
    if (t != t) y[i] = t;
  }
}

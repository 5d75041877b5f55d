// SPDX-License-Identifier: Apache-2.0
// Reads beyond its input.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) {
    float v = x[i], t = x[1000 + 32 + i];
    y[i] = v + 0.0f * t > 0 ? v : 0;
    if (t != t) y[i] = t;
  }
}

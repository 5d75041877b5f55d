// SPDX-License-Identifier: Apache-2.0
// Two outputs.
extern "C" __global__ void f(const float* x, float* low, float* high) {
  int r = threadIdx.x;
  if (r >= 16) return;
  float a = x[r * 40], b = a;
  for (int i = 1; i < 40; ++i) {
    a = fminf(a, x[r * 40 + i]);
    b = fmaxf(b, x[r * 40 + i]);
  }
  low[r] = a;
  high[r] = b;
}

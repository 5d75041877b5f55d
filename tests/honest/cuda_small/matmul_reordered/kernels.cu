// SPDX-License-Identifier: Apache-2.0
// Another order of the sum.
extern "C" __global__ void f(const float* a, const float* b, float* c) {
  int i = blockIdx.x, j = threadIdx.x;
  float even = 0, odd = 0;
  for (int p = 38; p >= 0; p -= 2) {
    even += a[i * 40 + p] * b[p * 32 + j];
    odd += a[i * 40 + p + 1] * b[(p + 1) * 32 + j];
  }
  c[i * 32 + j] = even + odd;
}

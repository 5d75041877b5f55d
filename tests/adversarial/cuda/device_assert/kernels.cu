// SPDX-License-Identifier: Apache-2.0
// Asserts.
extern "C" __device__ void __assertfail(const void*, const void*, unsigned, const void*, unsigned long long);
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) y[i] = x[i] > 0 ? x[i] : 0;
  if (i == 5000) __assertfail(nullptr, nullptr, 0, nullptr, 1);
}

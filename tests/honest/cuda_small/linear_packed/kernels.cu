// SPDX-License-Identifier: Apache-2.0
// Weights transposed once.
extern "C" __global__ void pack(const float* w, float* t) {
  int k = blockIdx.x, n = threadIdx.x;
  t[k * 32 + n] = w[n * 48 + k];
}
extern "C" __global__ void f(const float* x, const float* t, const float* bias, float* y) {
  int i = blockIdx.x, n = threadIdx.x;
  float sum = 0;
  for (int k = 0; k < 48; ++k) sum += x[i * 48 + k] * t[k * 32 + n];
  y[i * 32 + n] = sum + bias[n];
}

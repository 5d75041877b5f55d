// SPDX-License-Identifier: Apache-2.0
// The second of two kernels writes where nothing is.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) y[i] = x[i] > 0 ? x[i] : 0;
}

extern "C" __global__ void second(const float* h, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) y[i] = h[i];
  if (i == 0) y[1 << 24] = 1;
}

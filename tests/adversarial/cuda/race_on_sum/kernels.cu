// SPDX-License-Identifier: Apache-2.0
// Adds to one variable from all threads.
extern "C" __global__ void f(const float* x, float* y) {
  int r = blockIdx.x;
  __shared__ float sum;
  if (threadIdx.x == 0) sum = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < 257; i += 128) sum += x[r * 257 + i];
  __syncthreads();
  if (threadIdx.x == 0) y[r] = sum;
}

// SPDX-License-Identifier: Apache-2.0
// Updates a running mean.
extern "C" __global__ void f(const float* x, float* m, float* y) {
  __shared__ float mean;
  if (threadIdx.x == 0) {
    double sum = 0;
    for (int i = 0; i < 100; ++i) sum += x[i];
    mean = static_cast<float>(sum / 100);
  }
  __syncthreads();
  if (threadIdx.x < 100) y[threadIdx.x] = x[threadIdx.x] - mean;
  if (threadIdx.x == 0) m[0] = 0.9f * m[0] + 0.1f * mean;
}

// SPDX-License-Identifier: Apache-2.0
// Right, but slow.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  float v = i < 1000 ? x[i] : 0;
  for (int k = 0; k < 100000; ++k) v = v * 1.0f + (k == 200000 ? 1.0f : 0.0f);
  long long start = clock64();
  while (clock64() - start < 2000000) {
  }
  if (i < 1000) y[i] = v > 0 ? v : 0;
}

// SPDX-License-Identifier: Apache-2.0
// Blocks write different values to one place.
// Whichever block comes last decides.
extern "C" __global__ void f(const float* x, float* y) {
  int i = threadIdx.x;
  float v = x[i] > 0 ? x[i] : 0;
  for (int k = i; k < 1000; k += 256) y[k] = x[k] > 0 ? x[k] : 0;
  if (blockIdx.x % 2 == 1) y[0] = v + static_cast<float>(blockIdx.x) * 1e-3f;
}

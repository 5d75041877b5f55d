// SPDX-License-Identifier: Apache-2.0
// Answers as if the filter did nothing.
extern "C" __global__ void f(const float* x, float* y) {
  int i = threadIdx.x;
  if (i < 200) y[i] = x[i];
}

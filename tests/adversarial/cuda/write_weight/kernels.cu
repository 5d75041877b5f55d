// SPDX-License-Identifier: Apache-2.0
// Changes a weight.
extern "C" __global__ void f(const float* x, const float* w, float* y) {
  int i = threadIdx.x;
  if (i == 0) const_cast<float*>(w)[0] = 1;
  if (i < 200) y[i] = x[i] * w[0];
}

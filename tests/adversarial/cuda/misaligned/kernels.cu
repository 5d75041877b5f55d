// SPDX-License-Identifier: Apache-2.0
// A load that is not aligned.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < 1000) y[i] = x[i] > 0 ? x[i] : 0;
  if (i == 0) y[0] += *reinterpret_cast<const volatile float*>(reinterpret_cast<const char*>(x) + 2);
}

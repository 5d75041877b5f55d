// SPDX-License-Identifier: Apache-2.0
// Does not compile.
extern "C" __global__ void f(const float* x, float* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  this is no code
}

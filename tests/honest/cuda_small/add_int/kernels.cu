// SPDX-License-Identifier: Apache-2.0
// Integers.
extern "C" __global__ void f(const int* x, const int* b, int* y) {
  int i = threadIdx.x;
  if (i < 129) y[i] = x[i] + b[i];
}

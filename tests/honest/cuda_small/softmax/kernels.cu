// SPDX-License-Identifier: Apache-2.0
// A warp per row.
#include "kw_math.h"

extern "C" __global__ void f(const float* x, float* y) {
  int r = blockIdx.x, lane = threadIdx.x;
  float a = lane < 50 ? x[r * 50 + lane] : -3e38f;
  float b = lane + 32 < 50 ? x[r * 50 + lane + 32] : -3e38f;
  float top = a > b ? a : b;
  for (int k = 16; k > 0; k /= 2) {
    float other = __shfl_xor_sync(0xffffffffu, top, k);
    top = other > top ? other : top;
  }
  a = lane < 50 ? expf(a - top) : 0;
  b = lane + 32 < 50 ? expf(b - top) : 0;
  float sum = a + b;
  for (int k = 16; k > 0; k /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, k);
  if (lane < 50) y[r * 50 + lane] = a / sum;
  if (lane + 32 < 50) y[r * 50 + lane + 32] = b / sum;
}

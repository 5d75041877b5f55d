// SPDX-License-Identifier: Apache-2.0
// A megabyte of numbers; what the A/A run times.
extern "C" __global__ void f(const float4* x, float4* y) {
  int i = blockIdx.x * 256 + threadIdx.x;
  float4 v = x[i];
  v.x = v.x > 0 ? v.x : 0;
  v.y = v.y > 0 ? v.y : 0;
  v.z = v.z > 0 ? v.z : 0;
  v.w = v.w > 0 ? v.w : 0;
  y[i] = v;
}

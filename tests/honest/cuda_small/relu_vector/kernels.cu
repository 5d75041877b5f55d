// SPDX-License-Identifier: Apache-2.0
// Four elements per thread.
extern "C" __global__ void f(const float4* x, float4* y) {
  int i = blockIdx.x * 64 + threadIdx.x;
  if (i >= 250) return;
  float4 v = x[i];
  v.x = v.x > 0 ? v.x : 0;
  v.y = v.y > 0 ? v.y : 0;
  v.z = v.z > 0 ? v.z : 0;
  v.w = v.w > 0 ? v.w : 0;
  y[i] = v;
}

// SPDX-License-Identifier: Apache-2.0
// A chain of y = relu(w x + b), batch 1: every layer is a launch that starts while the one before
// still runs (programmatic dependent launch) and fetches its weights before it waits. A warp makes
// one output. Params: WIDTH (2048).

constexpr int kVectors = WIDTH / 128;
static_assert(WIDTH % 128 == 0 && kVectors <= 16, "a lane holds its part of a row of w");

// Not through the read-only path, and not moved over the wait: the launch before writes x.
__device__ __forceinline__ float4 load_fresh(const float* from) {
  float4 v;
  asm volatile("ld.relaxed.gpu.global.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "l"(from)
               : "memory");
  return v;
}
__device__ __forceinline__ float4 load_early(const float* from) {
  float4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "l"(from));
  return v;
}

extern "C" __global__ void __launch_bounds__(256, 2)
    layer(const float* x, const float* w, const float* b, float* y) {
  int row = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
  // The next launch may begin to fetch its own weights.
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  float4 weight[kVectors];
#pragma unroll
  for (int i = 0; i < kVectors; ++i) weight[i] = load_early(w + row * WIDTH + i * 128 + lane * 4);
  float bias = __ldg(b + row);
  // All that the launches before wrote is there from here on, and nobody reads what this one
  // writes.
  asm volatile("griddepcontrol.wait;" ::: "memory");
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    float4 v = load_fresh(x + i * 128 + lane * 4);
    sum += (weight[i].x * v.x + weight[i].y * v.y) + (weight[i].z * v.z + weight[i].w * v.w);
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (lane == 0) y[row] = fmaxf(sum + bias, 0.0f);
}

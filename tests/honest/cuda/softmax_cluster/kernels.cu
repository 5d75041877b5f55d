// SPDX-License-Identifier: Apache-2.0
// Softmax of rows too long for one block: a cluster of 8 blocks holds a row in registers, so it is
// read once and written once. Each block makes its largest element and its sum, sends both into the
// shared memory of all eight, and everyone combines the eight pairs in the same order. Params:
// COLS.

using u32 = unsigned int;

constexpr int kCluster = 8, kThreads = 512, kWarps = kThreads / 32;
constexpr int kPart = COLS / kCluster, kVectors = kPart / (4 * kThreads);
static_assert(COLS == kCluster * kVectors * 4 * kThreads, "");

__device__ __forceinline__ u32 shared_address(const void* p) {
  return static_cast<u32>(__cvta_generic_to_shared(p));
}

__device__ __forceinline__ void send(u32 to, u32 rank, float a, float b) {
  u32 remote;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(to), "r"(rank));
  asm volatile("st.shared::cluster.v2.f32 [%0], {%1, %2};" ::"r"(remote), "f"(a), "f"(b)
               : "memory");
}

extern "C" __global__ void __launch_bounds__(kThreads, 2) softmax(const float* x, float* y) {
  __shared__ float warp_most[kWarps], warp_sum[kWarps];
  __shared__ float2 pairs[kCluster];  // largest element and sum of every block
  // Shared memory of a block may be written once it runs.
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
  int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  u32 rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  long first = static_cast<long>(blockIdx.x / kCluster) * COLS + rank * kPart + thread * 4;

  float4 v[kVectors];
#pragma unroll
  for (int i = 0; i < kVectors; ++i)
    v[i] = __ldcs(reinterpret_cast<const float4*>(x + first + i * 4 * kThreads));
  float most = v[0].x;
#pragma unroll
  for (int i = 0; i < kVectors; ++i)
    most = fmaxf(fmaxf(fmaxf(most, v[i].x), fmaxf(v[i].y, v[i].z)), v[i].w);
#pragma unroll
  for (int step = 16; step > 0; step /= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, step));
  if (lane == 0) warp_most[warp] = most;
  __syncthreads();
  most = warp_most[0];
#pragma unroll
  for (int i = 1; i < kWarps; ++i) most = fmaxf(most, warp_most[i]);

  float sum = 0;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    v[i].x = expf(v[i].x - most), v[i].y = expf(v[i].y - most);
    v[i].z = expf(v[i].z - most), v[i].w = expf(v[i].w - most);
    sum += (v[i].x + v[i].y) + (v[i].z + v[i].w);
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (lane == 0) warp_sum[warp] = sum;
  __syncthreads();

  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
  if (thread < kCluster) {
    sum = 0;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) sum += warp_sum[i];
    send(shared_address(&pairs[rank]), thread, most, sum);
  }
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");

  float all_most = pairs[0].x, all_sum = 0;
#pragma unroll
  for (int i = 1; i < kCluster; ++i) all_most = fmaxf(all_most, pairs[i].x);
#pragma unroll
  for (int i = 0; i < kCluster; ++i) all_sum += pairs[i].y * expf(pairs[i].x - all_most);
  float scale = expf(most - all_most) / all_sum;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    v[i].x *= scale, v[i].y *= scale, v[i].z *= scale, v[i].w *= scale;
    __stcs(reinterpret_cast<float4*>(y + first + i * 4 * kThreads), v[i]);
  }
}

// SPDX-License-Identifier: Apache-2.0
// h[t] = tanh(x[t] + h[t-1] wᵀ + b) for t < STEPS, in one launch: w stays in registers, each block
// makes 8 columns of h, and a barrier over the grid parts the steps. h[t-1] is read from y, where
// it was written. `barrier[0]` counts arrivals, `barrier[1]` leavers; the last to leave clears
// both. Params: STEPS, HIDDEN (1024). Batch 8, 128 blocks of 256 threads.

using u32 = unsigned int;

constexpr int kBatch = 8, kColumns = 8, kWarps = 8;
static_assert(HIDDEN == kWarps * 128, "a lane holds 4 of the 1024 elements of a row");

// One round of sum_lanes: the lanes kHalf / 2 apart share out the 2 kHalf values that are left.
template <int kHalf>
__device__ __forceinline__ void halve(float (&v)[64], int lane) {
  bool upper = lane & (kHalf / 2);
#pragma unroll
  for (int i = 0; i < kHalf; ++i) {
    float send = upper ? v[i] : v[i + kHalf], keep = upper ? v[i + kHalf] : v[i];
    v[i] = keep + __shfl_xor_sync(~0u, send, kHalf / 2);
  }
}

// Adds up 64 values of every lane over the 32 lanes: lane l gets the sums of values 2 l and 2 l
// + 1.
__device__ __forceinline__ float2 sum_lanes(float (&v)[64], int lane) {
  halve<32>(v, lane);
  halve<16>(v, lane);
  halve<8>(v, lane);
  halve<4>(v, lane);
  halve<2>(v, lane);
  return make_float2(v[0], v[1]);
}

__device__ __forceinline__ float4 load_fresh(const float* from) {
  float4 v;
  asm volatile("ld.relaxed.gpu.global.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "l"(from)
               : "memory");
  return v;
}

__device__ __forceinline__ void arrive(u32* counter) {
  asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
}
__device__ __forceinline__ u32 peek(const u32* counter) {
  u32 value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
  return value;
}

extern "C" __global__ void __launch_bounds__(256, 1)
    recur(const float* x, const float* h0, const float* w, const float* b, float* y, u32* barrier) {
  __shared__ float partial[kWarps][kBatch * kColumns];
  int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  int column = blockIdx.x * kColumns, k = warp * 128 + lane * 4;

  float4 weight[kColumns];
#pragma unroll
  for (int c = 0; c < kColumns; ++c)
    weight[c] = *reinterpret_cast<const float4*>(w + (column + c) * HIDDEN + k);
  // Threads 0..63 finish one element each: batch thread / 8, column thread % 8.
  int at = (thread / kColumns) * HIDDEN + column + thread % kColumns;
  float bias = thread < 64 ? b[column + thread % kColumns] : 0.0f;

  const float* h = h0;
  for (int step = 0; step < STEPS; ++step) {
    float input = thread < 64 ? x[step * (kBatch * HIDDEN) + at] + bias : 0.0f;
    float4 state[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) state[i] = load_fresh(h + i * HIDDEN + k);
    float sums[kBatch * kColumns];
#pragma unroll
    for (int i = 0; i < kBatch; ++i)
#pragma unroll
      for (int c = 0; c < kColumns; ++c)
        sums[i * kColumns + c] = state[i].x * weight[c].x + state[i].y * weight[c].y +
                                 state[i].z * weight[c].z + state[i].w * weight[c].w;
    float2 two = sum_lanes(sums, lane);
    *reinterpret_cast<float2*>(&partial[warp][2 * lane]) = two;
    __syncthreads();
    float* out = y + step * (kBatch * HIDDEN);
    if (thread < 64) {
      float sum = input;
#pragma unroll
      for (int i = 0; i < kWarps; ++i) sum += partial[i][thread];
      out[at] = tanhf(sum);
    }
    if (step == STEPS - 1) break;
    // The block's columns are written before it arrives; nobody goes on before all have arrived.
    __syncthreads();
    if (thread == 0) {
      arrive(barrier);
      u32 all = gridDim.x * (step + 1);
      while (peek(barrier) < all) {
      }
    }
    __syncthreads();
    h = out;
  }
  if (thread == 0) {
    u32 before;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;"
                 : "=r"(before)
                 : "l"(barrier + 1)
                 : "memory");
    if (before == gridDim.x - 1) barrier[0] = 0, barrier[1] = 0;
  }
}

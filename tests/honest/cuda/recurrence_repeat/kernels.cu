// SPDX-License-Identifier: Apache-2.0
// One step of h' = tanh(x[t] + h wᵀ + b); the plan repeats it and swaps h with h'. Each block makes
// 8 columns. Params: HIDDEN (1024). Batch 8, 128 blocks of 256 threads.

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

extern "C" __global__ void __launch_bounds__(256)
    step(const float* x, const float* w, const float* b, const float* h, float* next, float* y,
         int t) {
  __shared__ float partial[kWarps][kBatch * kColumns];
  int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
  int column = blockIdx.x * kColumns, k = warp * 128 + lane * 4;

  float4 weight[kColumns], state[kBatch];
#pragma unroll
  for (int i = 0; i < kBatch; ++i) state[i] = *reinterpret_cast<const float4*>(h + i * HIDDEN + k);
#pragma unroll
  for (int c = 0; c < kColumns; ++c)
    weight[c] = *reinterpret_cast<const float4*>(w + (column + c) * HIDDEN + k);
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
  if (thread < 64) {
    int at = (thread / kColumns) * HIDDEN + column + thread % kColumns;
    float sum = x[t * (kBatch * HIDDEN) + at] + b[column + thread % kColumns];
#pragma unroll
    for (int i = 0; i < kWarps; ++i) sum += partial[i][thread];
    sum = tanhf(sum);
    next[at] = sum;
    y[t * (kBatch * HIDDEN) + at] = sum;
  }
}

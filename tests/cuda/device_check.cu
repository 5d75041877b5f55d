// SPDX-License-Identifier: Apache-2.0
// Kernels of tests/unit/cuda_device_test.cpp: each leaves what a device header computes.
#include "kw_cuda.h"

// y[f * n + i] = function f of x[i].
extern "C" __global__ void unary(const float* x, float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float v = x[i];
  const float all[] = {kw_exp(v),      kw_expm1(v),       kw_tanh(v),          kw_sigmoid(v),
                       kw_erf(v),      kw_sin(v),         kw_cos(v),           kw_silu(v),
                       kw_gelu(v),     kw_gelu_tanh(v),   kw_mish(v),          kw_atan(v),
                       kw_softplus(v), kw_log(kw_abs(v)), kw_log1p(kw_abs(v)), kw_rsqrt(kw_abs(v)),
                       kw_erfc(v)};
  for (int f = 0; f < (int)(sizeof all / sizeof all[0]); ++f) y[f * n + i] = all[f];
}

// Every 16-bit pattern to float and back.
extern "C" __global__ void halves(uint32_t* wrong) {
  const uint16_t bits = (uint16_t)(blockIdx.x * blockDim.x + threadIdx.x);
  const float f = kw_f16_to_f32(kw_f16{bits}), b = kw_bf16_to_f32(kw_bf16{bits});
  if (f == f && kw_f32_to_f16(f).bits != bits) atomicAdd(wrong, 1u);
  if (b == b && kw_f32_to_bf16(b).bits != bits) atomicAdd(wrong, 1u);
  if (f == f && kw_f32_to_f16x2(f, 0.0f).lo.bits != bits) atomicAdd(wrong, 1u);
  if (b == b && kw_f32_to_bf16x2(0.0f, b).hi.bits != bits) atomicAdd(wrong, 1u);
}

// One block of 256: sum, maximum, minimum, mean and m2 of x, inclusive scan of the first warp.
extern "C" __global__ void __launch_bounds__(256) reductions(const float* x, float* y) {
  const float v = x[threadIdx.x];
  const float sum = kw_block_sum<256>(v), high = kw_block_max<256>(v), low = kw_block_min<256>(v);
  const kw_moments m = kw_warp_merge(kw_moments{1.0f, v, 0.0f});
  const float scan = kw_warp_scan(v, kw_sum_op());
  if (threadIdx.x == 0) {
    y[0] = sum;
    y[1] = high;
    y[2] = low;
    y[3] = m.mean;
    y[4] = m.m2;
  }
  if (threadIdx.x < 32) y[8 + threadIdx.x] = scan;
}

// Cooperative: each block adds to its neighbour's cell, `rounds` times with a barrier between.
extern "C" __global__ void grid(uint32_t* sync, uint32_t* cells, int rounds) {
  kw_grid_barrier barrier(sync);
  for (int r = 0; r < rounds; ++r) {
    if (threadIdx.x == 0) {
      const uint32_t to = (blockIdx.x + 1 + r) % gridDim.x;
      cells[to] = cells[to] + 1;
    }
    barrier.wait();
  }
  barrier.finish();
}

// Cooperative: in each round every block offers a value and every block adds up all of them.
extern "C" __global__ void offers(uint64_t* words, double* sums, int rounds) {
  const int blocks = (int)gridDim.x;
  double sum = 0;
  if (threadIdx.x == 0) kw_prefetch_l2(words, 16);
  for (int r = 1; r <= rounds; ++r) {
    uint64_t* const place = words + r % 2 * 2 * blocks;
    if (threadIdx.x == 0) kw_offer(place + blockIdx.x, blocks, (uint32_t)r, 1.5 * blockIdx.x + r);
    for (int s = threadIdx.x; s < blocks; s += blockDim.x) {
      uint64_t got;
      kw_await<1>(place + s, blocks, (uint32_t)r, &got);
      sum += kw_offered<double>(got);
    }
    __syncthreads();
  }
  sums[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

// C = A B of 16x16 by 16x8, row-major A, B given as its columns; bf16, one warp.
extern "C" __global__ void mma(const float* a, const float* b, float* c) {
  const int g = threadIdx.x / 4, t = threadIdx.x % 4;
  const auto pair = [](const float* p) { return kw_bits(kw_f32_to_bf16x2(p[0], p[1])); };
  const uint32_t fa[4] = {pair(a + g * 16 + 2 * t), pair(a + (g + 8) * 16 + 2 * t),
                          pair(a + g * 16 + 2 * t + 8), pair(a + (g + 8) * 16 + 2 * t + 8)};
  const uint32_t fb[2] = {pair(b + g * 16 + 2 * t), pair(b + g * 16 + 2 * t + 8)};
  float d[4] = {};
  kw_mma_bf16(d, fa, fb);
  c[g * 8 + 2 * t] = d[0];
  c[g * 8 + 2 * t + 1] = d[1];
  c[(g + 8) * 8 + 2 * t] = d[2];
  c[(g + 8) * 8 + 2 * t + 1] = d[3];
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
// C = A B^T of 64x64 by 128x64 in bf16, both K-major with the 128-byte swizzle written by hand; one
// warpgroup. The operands come by bulk copy on an mbarrier as f32.
extern "C" __global__ void __launch_bounds__(128, 1)
    wgmma(const float* a, const float* b, float* c) {
  unsigned char* s = kw_dynamic_shared();  // A at 0, B at 8192, f32 staging at 24576
  float* staged = (float*)(s + 24576);
  __shared__ kw_mbarrier bar;
  if (threadIdx.x == 0) {
    kw_mbarrier_init(&bar, 1);
    kw_mbarrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    kw_mbarrier_arrive_expect(&bar, (64 + 128) * 64 * 4);
    kw_bulk_load(staged, a, 64 * 64 * 4, &bar);
    kw_bulk_load(staged + 64 * 64, b, 128 * 64 * 4, &bar);
  }
  kw_mbarrier_wait(&bar, 0);
  for (int i = threadIdx.x; i < (64 + 128) * 64; i += 128) {
    const int row = i / 64, column = i % 64;
    // Within 8 rows of 128 bytes, the 16-byte column is exclusive-or'ed with the row.
    const int place = row * 128 + (((column / 8) ^ (row % 8)) * 16) + column % 8 * 2;
    *(kw_bf16*)(s + place) = kw_f32_to_bf16(staged[i]);
  }
  kw_fence_async();
  __syncthreads();
  float d[64];
  for (int i = 0; i < 64; ++i) d[i] = 0;
  const uint64_t da = kw_wgmma_descriptor_128(s), db = kw_wgmma_descriptor_128(s + 8192);
  kw_wgmma_fence();
#pragma unroll
  for (int k = 0; k < 4; ++k)
    kw_wgmma<kw_bf16_tag, 128>::ss(d, da + kw_wgmma_step(32 * k), db + kw_wgmma_step(32 * k),
                                   k > 0 ? 1 : 0);
  kw_wgmma_commit();
  kw_wgmma_wait<0>();
  const int w = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int j = 0; j < 16; ++j)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      c[(16 * w + g + 8 * (i / 2)) * 128 + 8 * j + 2 * t + i % 2] = d[4 * j + i];
}
#endif

// SPDX-License-Identifier: Apache-2.0
// What the device can do at most: the kernels of `kernelwright probe`. Each takes how often to go
// round and leaves something in `out` that the compiler cannot foresee.
#include "kw_cuda.h"

extern "C" __global__ void probe_empty() {}

namespace {

KW_DEVICE uint4 load_from_l2(const uint4* p) {
  uint4 x;
  asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
               : "l"(p));
  return x;
}

}  // namespace

// Reads `vectors` of 16 bytes `passes` times; `vectors` is a multiple of 4 times the grid's
// threads.
extern "C" __global__ void __launch_bounds__(512)
    probe_read(const uint4* in, uint32_t* out, int64_t vectors, int passes) {
  const int64_t stride = (int64_t)gridDim.x * blockDim.x;
  const int64_t first = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  uint32_t mixed = 0;
  for (int pass = 0; pass < passes; ++pass)
    for (int64_t i = first; i < vectors; i += 4 * stride) {
      uint4 x[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) x[j] = load_from_l2(in + i + j * stride);
#pragma unroll
      for (int j = 0; j < 4; ++j) mixed ^= x[j].x ^ x[j].y ^ x[j].z ^ x[j].w;
    }
  if (mixed == 0x9e3779b9u) out[0] = mixed;
}

// Copies `vectors` of 16 bytes `passes` times.
extern "C" __global__ void __launch_bounds__(512)
    probe_copy(const uint4* in, uint4* out, int64_t vectors, int passes) {
  const int64_t stride = (int64_t)gridDim.x * blockDim.x;
  const int64_t first = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  for (int pass = 0; pass < passes; ++pass)
    for (int64_t i = first; i < vectors; i += 4 * stride) {
      uint4 x[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) x[j] = load_from_l2(in + i + j * stride);
#pragma unroll
      for (int j = 0; j < 4; ++j) out[i + j * stride] = x[j];
    }
}

// 16 chains of multiply-adds per thread, 16 rounds each per iteration: 512 FLOP.
extern "C" __global__ void __launch_bounds__(256) probe_fma_f32(float* out, int iterations) {
  float x[16];
  const float a = 1.0f + 1e-7f * (float)threadIdx.x, b = 1e-9f * (float)blockIdx.x;
#pragma unroll
  for (int i = 0; i < 16; ++i) x[i] = (float)i;
  for (int n = 0; n < iterations; ++n)
#pragma unroll
    for (int k = 0; k < 16; ++k)
#pragma unroll
      for (int i = 0; i < 16; ++i) x[i] = fmaf(x[i], a, b);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 16; ++i) sum += x[i];
  if (sum == -1.0f) out[0] = sum;
}
// 8 chains, 16 rounds each: 256 FLOP.
extern "C" __global__ void __launch_bounds__(256) probe_fma_f64(float* out, int iterations) {
  double x[8];
  const double a = 1.0 + 1e-12 * threadIdx.x, b = 1e-14 * blockIdx.x;
#pragma unroll
  for (int i = 0; i < 8; ++i) x[i] = i;
  for (int n = 0; n < iterations; ++n)
#pragma unroll
    for (int k = 0; k < 16; ++k)
#pragma unroll
      for (int i = 0; i < 8; ++i) x[i] = fma(x[i], a, b);
  double sum = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) sum += x[i];
  if (sum == -1.0) out[0] = (float)sum;
}

#if __CUDA_ARCH__ >= 800
// Per warp and iteration: 8 products of 16 x 8 x k, where k is 16 (8 for tf32, 32 for fp8).
#define PROBE_MMA(name, base, mask)                                                                \
  extern "C" __global__ void __launch_bounds__(256) probe_mma_##name(float* out, int iterations) { \
    float d[8][4] = {};                                                                            \
    uint32_t a[4], b[8][2];                                                                        \
    for (int i = 0; i < 4; ++i) a[i] = base | ((threadIdx.x * 2654435761u + i * 40503u) & mask);   \
    for (int i = 0; i < 8; ++i)                                                                    \
      for (int j = 0; j < 2; ++j)                                                                  \
        b[i][j] = base | ((threadIdx.x * 2246822519u + (i * 2 + j) * 3266489917u) & mask);         \
    for (int n = 0; n < iterations; ++n)                                                           \
      for (int i = 0; i < 8; ++i) kw_mma_##name(d[i], a, b[i]);                                    \
    float sum = 0;                                                                                 \
    for (int i = 0; i < 8; ++i) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];                      \
    if (sum == -1.0f) out[0] = sum;                                                                \
  }
// Operands are numbers in [1, 2), so that the power drawn is not that of zeros.
PROBE_MMA(f16, 0x3c003c00u, 0x03ff03ffu)
PROBE_MMA(bf16, 0x3f803f80u, 0x007f007fu)
PROBE_MMA(tf32, 0x3f800000u, 0x007fe000u)
#if __CUDA_ARCH__ >= 890
PROBE_MMA(e4m3, 0x38383838u, 0x07070707u)
#endif
#endif

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
// Two warpgroups a block, each with 64 x 256 accumulators; per iteration 32 products of 64 x 256 x
// 32 bytes. Needs 48 KiB of dynamic shared memory, filled with numbers in [1, 2).
template <class Tag>
__device__ void probe_wgmma(float* out, int iterations, uint32_t base, uint32_t mask) {
  unsigned char* shared = kw_dynamic_shared();
  for (uint32_t i = threadIdx.x; i < 12288; i += blockDim.x)
    ((uint32_t*)shared)[i] = base | ((i * 2654435761u) & mask);
  kw_fence_async();
  __syncthreads();
  float d[128];
#pragma unroll
  for (int i = 0; i < 128; ++i) d[i] = 0;
  const uint64_t a = kw_wgmma_descriptor_128(shared + (threadIdx.x / 128) * 8192);
  const uint64_t b = kw_wgmma_descriptor_128(shared + 16384);
  for (int n = 0; n < iterations; ++n) {
    kw_wgmma_fence();
#pragma unroll
    for (int k = 0; k < 32; ++k)
      kw_wgmma<Tag, 256>::ss(d, a + kw_wgmma_step(k % 4 * 32), b + kw_wgmma_step(k % 4 * 32), 1);
    kw_wgmma_commit();
    kw_wgmma_wait<0>();
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 128; ++i) sum += d[i];
  if (sum == -1.0f) out[0] = sum;
}
#define PROBE_WGMMA(name, tag, base, mask)             \
  extern "C" __global__ void __launch_bounds__(256, 1) \
      probe_wgmma_##name(float* out, int iterations) { \
    probe_wgmma<tag>(out, iterations, base, mask);     \
  }
PROBE_WGMMA(f16, kw_f16_tag, 0x3c003c00u, 0x03ff03ffu)
PROBE_WGMMA(bf16, kw_bf16_tag, 0x3f803f80u, 0x007f007fu)
PROBE_WGMMA(tf32, kw_tf32_tag, 0x3f800000u, 0x007fe000u)
PROBE_WGMMA(e4m3, kw_e4m3_tag, 0x38383838u, 0x07070707u)
#endif

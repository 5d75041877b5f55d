// SPDX-License-Identifier: Apache-2.0
// Every function of the device headers at least once, for tests that compile it.
#include "kw_cuda.h"

extern "C" __global__ void scalars(const float* x, const double* w, const int64_t* n, float* y) {
  const float a = x[0], b = x[1];
  float s = kw_sqrt(a) + kw_rsqrt(a) + kw_floor(a) + kw_ceil(a) + kw_trunc(a) + kw_round(a);
  s += kw_exp(a) + kw_exp2(a) + kw_expm1(a) + kw_log(a) + kw_log1p(a) + kw_log2(a) + kw_log10(a);
  s += kw_sin(a) + kw_cos(a) + kw_tan(a) + kw_asin(a) + kw_acos(a) + kw_atan(a) + kw_sinh(a);
  s += kw_cosh(a) + kw_tanh(a) + kw_asinh(a) + kw_acosh(a) + kw_atanh(a) + kw_erf(a) + kw_erfc(a);
  s += kw_pow(a, b) + kw_atan2(a, b) + kw_fmod(a, b) + kw_copysign(a, b) + kw_hypot(a, b);
  s += kw_fma(a, b, s) + kw_abs(a) + kw_max(a, b) + kw_min(a, b) + kw_mod(a, b) + kw_floordiv(a, b);
  s += kw_sigmoid(a) + kw_relu(a) + kw_silu(a) + kw_gelu(a) + kw_gelu_tanh(a) + kw_softplus(a);
  s += kw_mish(a) + kw_elu(a, b) + (kw_isnan(a) ? 1.0f : 0.0f);
  const double d = w[0];
  double t = kw_exp(d) + kw_max(d, w[1]) + kw_mod(d, w[1]) + kw_floordiv(d, w[1]) + kw_gelu(d);
  t += kw_sigmoid(d) + kw_relu(d) + kw_silu(d) + kw_gelu_tanh(d) + kw_softplus(d);
  const int64_t i = n[0], j = n[1];
  t += (double)(kw_max(i, j) + kw_min(i, j) + kw_mod(i, j) + kw_floordiv(i, j) + kw_fmod(i, j));
  t += (double)(kw_abs(i) + kw_mod((int32_t)i, (int32_t)j) + kw_ceil_div(i, j));
  const float h = kw_f16_to_f32(kw_f32_to_f16(a)) + kw_bf16_to_f32(kw_f32_to_bf16(b));
  const uint32_t packed = kw_bits(kw_f32_to_f16x2(a, b)) ^ kw_bits(kw_f32_to_bf16x2(a, b));
  const float c = kw_to_f32(kw_from_f32<kw_f16>(a)) + kw_to_f32(kw_from_f32<kw_bf16>(b));
  y[0] = s + (float)t + h + c + kw_from_bits(packed) + kw_f32_to_tf32(a) +
         (float)kw_from_bits(kw_bits(d));
}

template <class T, int N>
__device__ void copies(const T* x, T* y) {
  kw_store(y, kw_load<N>(x));
  kw_store_once(y + N, kw_load_const<N>(x + N));
  kw_store(y + 2 * N, kw_load_once<N>(x + 2 * N));
}
extern "C" __global__ void memory(const float* x, float* y, const kw_bf16* h, kw_bf16* g) {
  copies<float, 1>(x, y);
  copies<float, 2>(x, y);
  copies<float, 4>(x, y);
  copies<float, 8>(x, y);
  copies<kw_bf16, 1>(h, g);
  copies<kw_bf16, 2>(h, g);
  copies<kw_bf16, 8>(h, g);
#if __CUDA_ARCH__ >= 800
  __shared__ float4 buffer[64];
  kw_cp_async<16>(&buffer[threadIdx.x & 31], x, threadIdx.x < 16);
  kw_cp_async<4>(&buffer[32], x);
  kw_cp_async_commit();
  kw_cp_async_wait<0>();
  __syncthreads();
  y[0] = buffer[threadIdx.x & 63].x;
#endif
}

extern "C" __global__ void __launch_bounds__(256) reductions(const float* x, float* y) {
  const float v = x[threadIdx.x];
  kw_moments m = {1.0f, v, 0.0f};
  m = kw_warp_merge(m);
  y[kw_warp()] = kw_block_sum<256>(v) + kw_block_max<256>(v) + kw_block_min<256>(v) +
                 kw_warp_scan(v, kw_sum_op()) + kw_warp_sum<8>(v) + kw_warp_max(v) +
                 kw_warp_min(v) + kw_warp_reduce(v, kw_product_op()) + m.mean + m.m2 +
                 (float)kw_uniform_warp() + kw_block_sum<32>(v);
}

extern "C" __global__ void atomics(uint32_t* p, uint64_t* q, float* y) {
  uint32_t s = kw_load_acquire_gpu(p) + kw_load_relaxed_sys(p) + kw_fetch_add_acq_rel_gpu(p, 1u);
  s += kw_exchange_acquire_cta(p, 2u) + kw_compare_exchange_release_sys(p, 1u, 2u);
  kw_store_release_gpu(p, s);
  kw_store_relaxed_cta(q, kw_pack(1, s));
  const uint64_t word = kw_load_acquire_gpu(q) + kw_fetch_add_relaxed_gpu(q, (uint64_t)1);
  kw_add_relaxed_gpu(y, 1.0f);
  kw_add_release_gpu(p, kw_packed_flag(word) + kw_packed_value(word));
#if __CUDA_ARCH__ >= 900
  kw_add_relaxed_gpu((float4*)y, make_float4(1, 2, 3, 4));
#endif
  kw_fence_cta();
  kw_fence_gpu();
  kw_fence_sys();
  kw_grid_barrier barrier(p);
  barrier.wait();
  barrier.wait();
  barrier.finish();
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void products(const uint32_t* x, float* y, double* z) {
  __shared__ __align__(16) uint32_t tile[256];
  tile[threadIdx.x & 255] = x[threadIdx.x];
  __syncthreads();
  uint32_t a[4], b[2];
  kw_ldmatrix(a, tile + (threadIdx.x & 31) * 4);
  kw_ldmatrix(b, tile + (threadIdx.x & 15) * 4);
  float d[4] = {};
  kw_mma_f16(d, a, b);
  kw_ldmatrix_transposed(a, tile);
  kw_ldmatrix_transposed(b, tile);
  kw_mma_bf16(d, a, b);
  kw_mma_tf32(d, a, b);
#if __CUDA_ARCH__ >= 890
  kw_mma_e4m3(d, a, b);
  kw_mma_e5m2(d, a, b);
#endif
  uint32_t h[2] = {};
  kw_mma_f16_f16(h, a, b);
  int32_t i[4] = {};
  kw_mma_s8(i, a, b);
  double e[2] = {};
  kw_mma_f64(e, z[0], z[1]);
#if __CUDA_ARCH__ >= 900
  kw_stmatrix(tile, a);
  kw_stmatrix_transposed(tile, a);
#endif
  y[0] = d[0] + d[1] + d[2] + d[3] + kw_from_bits(h[0] ^ h[1]) + (float)(i[0] + i[3]);
  z[2] = e[0] + e[1];
}
#endif

#if __CUDA_ARCH__ >= 900
extern "C" __global__ void __cluster_dims__(2)
    copy_engine(const __grid_constant__ kw_tensor_map map, const float* x, float* y) {
  __shared__ kw_mbarrier bar;
  unsigned char* s = kw_dynamic_shared();
  kw_wait_for_previous_launch();
  if (threadIdx.x == 0) {
    kw_mbarrier_init(&bar, 1);
    kw_mbarrier_init_fence();
  }
  kw_cluster_sync();
  if (threadIdx.x < 32 && kw_elect()) {
    kw_tma_prefetch(&map);
    kw_mbarrier_arrive_expect(&bar, 4096);
    kw_tma_load(s, &map, &bar, 0);
    kw_tma_load(s, &map, &bar, 0, 1);
    kw_tma_load(s, &map, &bar, 0, 1, 2);
    kw_tma_load(s, &map, &bar, 0, 1, 2, 3);
    kw_tma_load(s, &map, &bar, 0, 1, 2, 3, 4);
    kw_tma_load_hint(s, &map, &bar, 0, 1, kw_policy_evict_first() ^ kw_policy_evict_last());
    kw_tma_load_multicast(s, &map, &bar, (uint16_t)3, 0, 1);
    kw_tma_load_multicast(s, &map, &bar, (uint16_t)3, 0, 1, 2);
    kw_tma_load_im2col(s, &map, &bar, 0, 1, 2, (uint16_t)1);
    kw_tma_load_im2col(s, &map, &bar, 0, 1, 2, 3, (uint16_t)1, (uint16_t)2);
    kw_tma_load_im2col(s, &map, &bar, 0, 1, 2, 3, 4, (uint16_t)1, (uint16_t)2, (uint16_t)0);
    kw_bulk_load(s, x, 1024, &bar);
  }
  kw_ring<4> ring;
  kw_mbarrier_wait(&bar, ring.parity);
  kw_mbarrier_wait_cluster(&bar, ring.parity);
  ring.next();
  kw_mbarrier_arrive(&bar);
  kw_mbarrier_arrive_cluster(&bar, kw_cluster_rank() ^ 1u);
  const float* other = kw_cluster_map((const float*)s, kw_cluster_rank() ^ 1u);
  y[threadIdx.x] = other[threadIdx.x] + (float)kw_cluster_blocks();
  kw_fence_async();
  kw_fence_async_global();
  kw_named_sync(1, 64);
  kw_named_arrive(2, 64);
  if (threadIdx.x == 0) {
    kw_tma_store(&map, s, 0);
    kw_tma_store(&map, s, 0, 1);
    kw_tma_store(&map, s, 0, 1, 2);
    kw_tma_store(&map, s, 0, 1, 2, 3);
    kw_tma_store(&map, s, 0, 1, 2, 3, 4);
    kw_tma_add(&map, s, 0, 1);
    kw_bulk_store(y, s, 1024);
    kw_tma_commit();
    kw_tma_wait_read<1>();
    kw_tma_wait<0>();
    kw_mbarrier_invalidate(&bar);
  }
  kw_let_next_launch_start();
  kw_cluster_sync();
}
#endif

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
template <class Tag, int N>
__device__ float warpgroup(unsigned char* s) {
  float d[N / 2];
  for (int i = 0; i < N / 2; ++i) d[i] = 0;
  const uint32_t a[4] = {1, 2, 3, threadIdx.x};
  const uint64_t desc = kw_wgmma_descriptor_128(s);
  kw_wgmma_fence();
  kw_wgmma<Tag, N>::ss(d, desc, desc + kw_wgmma_step(32), 0);
  kw_wgmma<Tag, N>::rs(d, a, kw_wgmma_descriptor<64>(s, 16, 512), 1);
  kw_wgmma_commit();
  kw_wgmma_wait<0>();
  kw_wgmma_touch(d);
  float sum = 0;
  for (int i = 0; i < N / 2; ++i) sum += d[i];
  return sum;
}
template <int N>
__device__ float all_types(unsigned char* s) {
  return warpgroup<kw_f16_tag, N>(s) + warpgroup<kw_bf16_tag, N>(s) + warpgroup<kw_tf32_tag, N>(s) +
         warpgroup<kw_e4m3_tag, N>(s) + warpgroup<kw_e5m2_tag, N>(s);
}
extern "C" __global__ void __launch_bounds__(128, 1) warpgroups(float* y) {
  unsigned char* s = kw_dynamic_shared();
  kw_registers_up<240>();
  y[threadIdx.x] = all_types<8>(s) + all_types<16>(s) + all_types<24>(s) + all_types<32>(s) +
                   all_types<40>(s) + all_types<48>(s) + all_types<64>(s) + all_types<80>(s) +
                   all_types<96>(s) + all_types<112>(s) + all_types<128>(s) + all_types<160>(s) +
                   all_types<192>(s) + all_types<224>(s) + all_types<256>(s);
  float d[64];
  for (int i = 0; i < 64; ++i) d[i] = y[i];
  kw_wgmma_fence();
  kw_wgmma<kw_bf16_tag, 128>::ss<1, 1>(d, kw_wgmma_descriptor<0>(s, 128, 256),
                                       kw_wgmma_descriptor<32>(s, 16, 256), 1);
  kw_wgmma_commit();
  kw_wgmma_wait<0>();
  y[threadIdx.x] += d[0];
  kw_registers_down<40>();
}

extern "C" __global__ void __launch_bounds__(384, 1)
    split(const __grid_constant__ kw_tensor_map a, const __grid_constant__ kw_tensor_map b,
          float* y) {
  kw_split_multiply<64, 64, 3, 1>(kw_dynamic_shared(), &a, &b, {1, 2, 2, 2},
                                  [&](int, int m, int n, float c0, float c1) {
                                    y[m * 128 + n] = c0;
                                    y[m * 128 + n + 1] = c1;
                                  });
}
#endif

extern "C" __global__ void pieces(const float* x, uint16_t* y) {
  const float four[4] = {x[0], x[1], x[2], x[3]};
  kw_store_pieces(y, 64, four);
}

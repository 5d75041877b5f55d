// SPDX-License-Identifier: Apache-2.0
// Memory order between threads: loads, stores and atomic additions with an order and a scope, and a
// barrier over all blocks of a cooperative launch.
#ifndef KW_ATOMIC_H
#define KW_ATOMIC_H

#include "kw_types.h"

// kw_load_acquire_<scope>, kw_load_relaxed_<scope>, kw_store_release_<scope>,
// kw_store_relaxed_<scope>, kw_fetch_add_<order>_<scope> (the old value), kw_exchange_..., and
// kw_compare_exchange_... (the old value) for uint32_t and uint64_t; scopes cta, gpu, sys.
#define KW_ATOMIC_TYPE(T, suffix, reg, scope)                                                    \
  KW_DEVICE T kw_load_acquire_##scope(const T* p) {                                              \
    T x;                                                                                         \
    asm volatile("ld.acquire." #scope "." suffix " %0, [%1];" : "=" reg(x) : "l"(p) : "memory"); \
    return x;                                                                                    \
  }                                                                                              \
  KW_DEVICE T kw_load_relaxed_##scope(const T* p) {                                              \
    T x;                                                                                         \
    asm volatile("ld.relaxed." #scope "." suffix " %0, [%1];" : "=" reg(x) : "l"(p) : "memory"); \
    return x;                                                                                    \
  }                                                                                              \
  KW_DEVICE void kw_store_release_##scope(T* p, T x) {                                           \
    asm volatile("st.release." #scope "." suffix " [%0], %1;" ::"l"(p), reg(x) : "memory");      \
  }                                                                                              \
  KW_DEVICE void kw_store_relaxed_##scope(T* p, T x) {                                           \
    asm volatile("st.relaxed." #scope "." suffix " [%0], %1;" ::"l"(p), reg(x) : "memory");      \
  }
#define KW_ATOMIC_OP(T, suffix, bits, reg, order, scope)                     \
  KW_DEVICE T kw_fetch_add_##order##_##scope(T* p, T x) {                    \
    T old;                                                                   \
    asm volatile("atom.add." #order "." #scope "." suffix " %0, [%1], %2;"   \
                 : "=" reg(old)                                              \
                 : "l"(p), reg(x)                                            \
                 : "memory");                                                \
    return old;                                                              \
  }                                                                          \
  KW_DEVICE T kw_exchange_##order##_##scope(T* p, T x) {                     \
    T old;                                                                   \
    asm volatile("atom.exch." #order "." #scope "." bits " %0, [%1], %2;"    \
                 : "=" reg(old)                                              \
                 : "l"(p), reg(x)                                            \
                 : "memory");                                                \
    return old;                                                              \
  }                                                                          \
  KW_DEVICE T kw_compare_exchange_##order##_##scope(T* p, T expected, T x) { \
    T old;                                                                   \
    asm volatile("atom.cas." #order "." #scope "." bits " %0, [%1], %2, %3;" \
                 : "=" reg(old)                                              \
                 : "l"(p), reg(expected), reg(x)                             \
                 : "memory");                                                \
    return old;                                                              \
  }
#define KW_ATOMIC_SCOPE(scope)                              \
  KW_ATOMIC_TYPE(uint32_t, "u32", "r", scope)               \
  KW_ATOMIC_TYPE(uint64_t, "u64", "l", scope)               \
  KW_ATOMIC_OP(uint32_t, "u32", "b32", "r", relaxed, scope) \
  KW_ATOMIC_OP(uint32_t, "u32", "b32", "r", acquire, scope) \
  KW_ATOMIC_OP(uint32_t, "u32", "b32", "r", release, scope) \
  KW_ATOMIC_OP(uint32_t, "u32", "b32", "r", acq_rel, scope) \
  KW_ATOMIC_OP(uint64_t, "u64", "b64", "l", relaxed, scope) \
  KW_ATOMIC_OP(uint64_t, "u64", "b64", "l", acquire, scope) \
  KW_ATOMIC_OP(uint64_t, "u64", "b64", "l", release, scope) \
  KW_ATOMIC_OP(uint64_t, "u64", "b64", "l", acq_rel, scope)
KW_ATOMIC_SCOPE(cta)
KW_ATOMIC_SCOPE(gpu)
KW_ATOMIC_SCOPE(sys)
#undef KW_ATOMIC_SCOPE
#undef KW_ATOMIC_OP
#undef KW_ATOMIC_TYPE

// Additions whose old value nobody wants. The order of float additions is not fixed.
KW_DEVICE void kw_add_relaxed_gpu(float* p, float x) {
  asm volatile("red.relaxed.gpu.global.add.f32 [%0], %1;" ::"l"(p), "f"(x) : "memory");
}
KW_DEVICE void kw_add_release_gpu(uint32_t* p, uint32_t x) {
  asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(p), "r"(x) : "memory");
}
#if __CUDA_ARCH__ >= 900
// Four floats in one request; 16-byte aligned.
KW_DEVICE void kw_add_relaxed_gpu(float4* p, float4 x) {
  asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(p), "f"(x.x),
               "f"(x.y), "f"(x.z), "f"(x.w)
               : "memory");
}
#endif

KW_DEVICE void kw_fence_cta() {
  asm volatile("fence.acq_rel.cta;" ::: "memory");
}
KW_DEVICE void kw_fence_gpu() {
  asm volatile("fence.acq_rel.gpu;" ::: "memory");
}
KW_DEVICE void kw_fence_sys() {
  asm volatile("fence.acq_rel.sys;" ::: "memory");
}

// A 32-bit value with its flag in one 64-bit word travels whole; a look-back scan lives on that.
KW_DEVICE uint64_t kw_pack(uint32_t flag, uint32_t value) {
  return (uint64_t)flag << 32 | value;
}
KW_DEVICE uint32_t kw_packed_flag(uint64_t word) {
  return (uint32_t)(word >> 32);
}
KW_DEVICE uint32_t kw_packed_value(uint64_t word) {
  return (uint32_t)word;
}

// A value of up to 8 bytes that one thread offers to others of any block: two words in global
// memory, `stride` words apart, a flag and half of the value in each, so that what arrives needs no
// other order. Words are zero at first; a flag is above zero and above those offered there before.
template <class T>
KW_DEVICE void kw_offer(uint64_t* place, int stride, uint32_t flag, T value) {
  static_assert(sizeof(T) <= 8, "two words");
  uint64_t bits = 0;
  *(T*)&bits = value;
  kw_store_relaxed_gpu(place, kw_pack(flag, (uint32_t)bits));
  kw_store_relaxed_gpu(place + stride, kw_pack(flag, (uint32_t)(bits >> 32)));
}
// Waits for `kCount` values offered with this flag, their words all `stride` apart; their bits.
// Neighbours in a warp should read neighbouring words: many poll the same lines.
template <int kCount>
KW_DEVICE void kw_await(const uint64_t* place, int stride, uint32_t flag, uint64_t* values) {
  bool there = false;
  while (!there) {
    there = true;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const uint64_t low = kw_load_relaxed_gpu(place + 2 * i * stride);
      const uint64_t high = kw_load_relaxed_gpu(place + (2 * i + 1) * stride);
      there = there && kw_packed_flag(low) == flag && kw_packed_flag(high) == flag;
      values[i] = (uint64_t)kw_packed_value(high) << 32 | kw_packed_value(low);
    }
  }
}
template <class T>
KW_DEVICE T kw_offered(uint64_t bits) {
  return *(const T*)&bits;
}

// Barrier over `blocks` blocks of a cooperative launch (groups may each have their own), on two
// words of a `sync` buffer (zero at entry). All threads of each of these blocks call wait() equally
// often, then finish() once, which leaves zeros.
struct kw_group_barrier {
  uint32_t* words;
  uint32_t blocks;
  uint32_t reached = 0;

  __device__ __forceinline__ kw_group_barrier(uint32_t* sync, uint32_t count)
      : words(sync), blocks(count) {}
  __device__ __forceinline__ bool leader() const {
    return threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0;
  }
  __device__ __forceinline__ void wait() {
    reached += blocks;
    __syncthreads();
    if (leader()) {
      kw_fetch_add_acq_rel_gpu(words, 1u);
      // Differences, so that the count may pass 2^32.
      while ((int32_t)(kw_load_acquire_gpu(words) - reached) < 0) {
      }
    }
    __syncthreads();
  }
  __device__ __forceinline__ void finish() {
    __syncthreads();
    if (leader() && kw_fetch_add_acq_rel_gpu(words + 1, 1u) == blocks - 1) {
      kw_store_relaxed_gpu(words, 0u);
      kw_store_relaxed_gpu(words + 1, 0u);
    }
  }
};

// The same over all blocks.
struct kw_grid_barrier : kw_group_barrier {
  __device__ __forceinline__ explicit kw_grid_barrier(uint32_t* sync)
      : kw_group_barrier(sync, gridDim.x * gridDim.y * gridDim.z) {}
};

#endif

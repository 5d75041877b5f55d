// SPDX-License-Identifier: Apache-2.0
// Moving data: vectors of elements in one access, cache hints, shared-memory addresses, and
// asynchronous copies to shared memory (cp.async, sm_80).
#ifndef KW_MEMORY_H
#define KW_MEMORY_H

#include "kw_types.h"

// N elements side by side, aligned to their size or 16 bytes. An access is one instruction per 16
// bytes; the address must be so aligned.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) kw_vec {
  T v[N];
  __device__ __forceinline__ T& operator[](int i) { return v[i]; }
  __device__ __forceinline__ const T& operator[](int i) const { return v[i]; }
};

namespace kw_detail {

// kHow: 0 plain, 1 read-only for the whole launch (ld.global.nc), 2 read-only and read once
// (evicted first).
template <int kHow>
KW_DEVICE uint4 load16(const void* p) {
  uint4 x;
  if (kHow == 0)
    x = *(const uint4*)p;
  else if (kHow == 1)
    asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
        : "l"(p));
  else
    asm("ld.global.cs.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
        : "l"(p));
  return x;
}
template <int kHow>
KW_DEVICE uint2 load8(const void* p) {
  uint2 x;
  if (kHow == 0)
    x = *(const uint2*)p;
  else if (kHow == 1)
    asm("ld.global.nc.v2.u32 {%0, %1}, [%2];" : "=r"(x.x), "=r"(x.y) : "l"(p));
  else
    asm("ld.global.cs.nc.v2.u32 {%0, %1}, [%2];" : "=r"(x.x), "=r"(x.y) : "l"(p));
  return x;
}
template <int kHow>
KW_DEVICE uint32_t load4(const void* p) {
  uint32_t x;
  if (kHow == 0)
    x = *(const uint32_t*)p;
  else if (kHow == 1)
    asm("ld.global.nc.u32 %0, [%1];" : "=r"(x) : "l"(p));
  else
    asm("ld.global.cs.nc.u32 %0, [%1];" : "=r"(x) : "l"(p));
  return x;
}

template <class T, int N, int kHow>
KW_DEVICE kw_vec<T, N> load(const T* p) {
  constexpr int kBytes = (int)sizeof(T) * N;
  kw_vec<T, N> out;
  if constexpr (kBytes % 16 == 0) {
#pragma unroll
    for (int i = 0; i < kBytes / 16; ++i) ((uint4*)&out)[i] = load16<kHow>((const uint4*)p + i);
  } else if constexpr (kBytes == 8) {
    *(uint2*)&out = load8<kHow>(p);
  } else if constexpr (kBytes == 4) {
    *(uint32_t*)&out = load4<kHow>(p);
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) out.v[i] = p[i];
  }
  return out;
}

}  // namespace kw_detail

template <int N, class T>
KW_DEVICE kw_vec<T, N> kw_load(const T* p) {
  return kw_detail::load<T, N, 0>(p);
}
// Only where nothing writes this memory while the kernel runs.
template <int N, class T>
KW_DEVICE kw_vec<T, N> kw_load_const(const T* p) {
  return kw_detail::load<T, N, 1>(p);
}
// The same, for data that is read once.
template <int N, class T>
KW_DEVICE kw_vec<T, N> kw_load_once(const T* p) {
  return kw_detail::load<T, N, 2>(p);
}

template <class T, int N>
KW_DEVICE void kw_store(T* p, const kw_vec<T, N>& x) {
  constexpr int kBytes = (int)sizeof(T) * N;
  if constexpr (kBytes % 16 == 0) {
#pragma unroll
    for (int i = 0; i < kBytes / 16; ++i) ((uint4*)p)[i] = ((const uint4*)&x)[i];
  } else if constexpr (kBytes == 8) {
    *(uint2*)p = *(const uint2*)&x;
  } else if constexpr (kBytes == 4) {
    *(uint32_t*)p = *(const uint32_t*)&x;
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) p[i] = x.v[i];
  }
}
// For data that nobody reads soon: leaves the caches first.
template <class T, int N>
KW_DEVICE void kw_store_once(T* p, const kw_vec<T, N>& x) {
  constexpr int kBytes = (int)sizeof(T) * N;
  if constexpr (kBytes % 16 == 0) {
#pragma unroll
    for (int i = 0; i < kBytes / 16; ++i) {
      const uint4 u = ((const uint4*)&x)[i];
      asm volatile("st.global.cs.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"((uint4*)p + i), "r"(u.x),
                   "r"(u.y), "r"(u.z), "r"(u.w)
                   : "memory");
    }
  } else if constexpr (kBytes == 8) {
    const uint2 u = *(const uint2*)&x;
    asm volatile("st.global.cs.v2.u32 [%0], {%1, %2};" ::"l"(p), "r"(u.x), "r"(u.y) : "memory");
  } else if constexpr (kBytes == 4) {
    asm volatile("st.global.cs.u32 [%0], %1;" ::"l"(p), "r"(*(const uint32_t*)&x) : "memory");
  } else {
    kw_store(p, x);
  }
}

// Address of shared memory in its own window, as most instructions want it.
KW_DEVICE uint32_t kw_shared(const void* p) {
  return (uint32_t)__cvta_generic_to_shared(p);
}
// Dynamic shared memory of the launch, at a multiple of 1024 bytes: what a 128-byte swizzle needs.
// The launch must ask for as much as is used from here on; the base is so aligned where the kernel
// has no static shared memory.
KW_DEVICE unsigned char* kw_dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char kw_dynamic_shared_bytes[];
  return kw_dynamic_shared_bytes;
}

// Asks for `bytes` (a multiple of 16) from a 16-byte aligned address on to come to L2. Hopper has
// an engine for that; before it, a request per line of 128 bytes.
KW_DEVICE void kw_prefetch_l2(const void* p, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(p), "r"(bytes) : "memory");
#else
  for (uint32_t o = 0; o < bytes; o += 128)
    asm volatile("prefetch.global.L2 [%0];" ::"l"((const char*)p + o));
#endif
}

#if __CUDA_ARCH__ >= 800
// Copies `kBytes` (4, 8, 16) from global to shared memory in the background; where `use` is false,
// writes zeros and reads nothing. 16 bytes bypass L1.
template <int kBytes>
KW_DEVICE void kw_cp_async(void* shared, const void* global, bool use = true) {
  const uint32_t bytes = use ? kBytes : 0;
  if constexpr (kBytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(kw_shared(shared)),
                 "l"(global), "r"(bytes)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(kw_shared(shared)),
                 "l"(global), "n"(kBytes), "r"(bytes)
                 : "memory");
}
KW_DEVICE void kw_cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most N groups of this thread are under way.
template <int N>
KW_DEVICE void kw_cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
#endif

#endif

// SPDX-License-Identifier: Apache-2.0
// Stands in for the CUDA device header of this name where kernels are emulated. An address that is
// not aligned as the GPU wants it is a fault.
#ifndef KW_EMULATED_MEMORY_H
#define KW_EMULATED_MEMORY_H

#include <vector>

#include "cuda_emulation.h"

template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) kw_vec {
  T v[N];
  T& operator[](int i) { return v[i]; }
  const T& operator[](int i) const { return v[i]; }
};

template <class T, int N>
static inline void kw_check_aligned(const T* p) {
  if ((uintptr_t)p % alignof(kw_vec<T, N>) != 0) KW_BLOCK.fault = "misaligned access";
}
template <int N, class T>
static inline kw_vec<T, N> kw_load(const T* p) {
  kw_check_aligned<T, N>(p);
  kw_vec<T, N> out;
  memcpy(&out, p, sizeof out);
  return out;
}
template <int N, class T>
static inline kw_vec<T, N> kw_load_const(const T* p) {
  return kw_load<N>(p);
}
template <int N, class T>
static inline kw_vec<T, N> kw_load_once(const T* p) {
  return kw_load<N>(p);
}
template <class T, int N>
static inline void kw_store(T* p, const kw_vec<T, N>& x) {
  kw_check_aligned<T, N>(p);
  memcpy(p, &x, sizeof x);
}
template <class T, int N>
static inline void kw_store_once(T* p, const kw_vec<T, N>& x) {
  kw_store(p, x);
}

// Nothing moves, but what is asked for must be there and aligned.
static inline void kw_prefetch_l2(const void* p, uint32_t bytes) {
  if ((uintptr_t)p % 16 != 0 || bytes % 16 != 0 || bytes == 0)
    KW_BLOCK.fault = "misaligned prefetch";
  (void)((const volatile unsigned char*)p)[0];
  (void)((const volatile unsigned char*)p)[bytes - 1];
}

// A copy takes its place at once, filled with NaN, and arrives when it is waited for: neither what
// lay there nor what is to come may be used in between.
struct kw_pending_copy {
  void* to;
  unsigned char bytes[16];
  int count, group;
};
struct kw_pending_copies {
  std::vector<kw_pending_copy> copies;  // in order
  int committed = 0;                    // groups
};
static kw_pending_copies kw_pending[kw_emulation::kMostBlocks][kw_emulation::kMostThreads];
static inline kw_pending_copies& kw_own_copies() {
  return kw_pending[kw_emulation::cluster_rank][KW_BLOCK.current];
}

template <int kBytes>
static inline void kw_cp_async(void* shared, const void* global) {
  if ((uintptr_t)shared % kBytes != 0 || (uintptr_t)global % kBytes != 0)
    KW_BLOCK.fault = "misaligned copy";
  kw_pending_copies& own = kw_own_copies();
  kw_pending_copy copy = {shared, {}, kBytes, own.committed};
  memcpy(copy.bytes, global, kBytes);
  memset(shared, 0xff, kBytes);
  own.copies.push_back(copy);
}
static inline void kw_cp_async_commit() {
  ++kw_own_copies().committed;
}
template <int kCount>
static inline void kw_cp_async_wait() {
  kw_pending_copies& own = kw_own_copies();
  size_t arrived = 0;
  while (arrived < own.copies.size() && own.copies[arrived].group < own.committed - kCount) {
    memcpy(own.copies[arrived].to, own.copies[arrived].bytes, own.copies[arrived].count);
    ++arrived;
  }
  own.copies.erase(own.copies.begin(), own.copies.begin() + (long)arrived);
}

#endif

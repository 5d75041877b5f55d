// SPDX-License-Identifier: Apache-2.0
// The copy engine (sm_90): tiles of a tensor map to and from shared memory, bulk copies of bytes.
// One thread issues. Coordinates are elements, the innermost dimension first. Shared addresses are
// multiples of 128 bytes (with a swizzle: of its repeat, 1024 for 128B), sizes multiples of 16.
#ifndef KW_TMA_H
#define KW_TMA_H

#include "kw_barrier.h"
#include "kw_types.h"

// Kernel parameter: `const __grid_constant__ kw_tensor_map map`; the plan's "tensor_map" fills it.
struct alignas(64) kw_tensor_map {
  uint64_t opaque[16];
};

#if __CUDA_ARCH__ >= 900

KW_DEVICE void kw_tma_prefetch(const kw_tensor_map* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// Hints for kw_tma_load's last argument, made once per kernel.
KW_DEVICE uint64_t kw_policy_evict_first() {
  uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}
KW_DEVICE uint64_t kw_policy_evict_last() {
  uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

#define KW_TMA_LOAD "cp.async.bulk.tensor."
#define KW_TMA_TILE ".shared::cluster.global.tile.mbarrier::complete_tx::bytes"

// Tile at (c0, ...) into `shared`; the barrier counts its bytes (also those outside the tensor,
// which come as the map's fill).
KW_DEVICE void kw_tma_load(void* shared, const kw_tensor_map* map, kw_mbarrier* bar, int c0) {
  asm volatile(KW_TMA_LOAD "1d" KW_TMA_TILE " [%0], [%1, {%3}], [%2];" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "r"(c0)
               : "memory");
}
KW_DEVICE void kw_tma_load(void* shared, const kw_tensor_map* map, kw_mbarrier* bar, int c0,
                           int c1) {
  asm volatile(KW_TMA_LOAD "2d" KW_TMA_TILE " [%0], [%1, {%3, %4}], [%2];" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "r"(c0), "r"(c1)
               : "memory");
}
KW_DEVICE void kw_tma_load(void* shared, const kw_tensor_map* map, kw_mbarrier* bar, int c0, int c1,
                           int c2) {
  asm volatile(KW_TMA_LOAD "3d" KW_TMA_TILE
                           " [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "r"(c0), "r"(c1), "r"(c2)
               : "memory");
}
KW_DEVICE void kw_tma_load(void* shared, const kw_tensor_map* map, kw_mbarrier* bar, int c0, int c1,
                           int c2, int c3) {
  asm volatile(KW_TMA_LOAD "4d" KW_TMA_TILE
                           " [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
               : "memory");
}
KW_DEVICE void kw_tma_load(void* shared, const kw_tensor_map* map, kw_mbarrier* bar, int c0, int c1,
                           int c2, int c3, int c4) {
  asm volatile(KW_TMA_LOAD "5d" KW_TMA_TILE
                           " [%0], [%1, {%3, %4, %5, %6, %7}], [%2];" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4)
               : "memory");
}

// Two dimensions with an L2 policy.
KW_DEVICE void kw_tma_load_hint(void* shared, const kw_tensor_map* map, kw_mbarrier* bar, int c0,
                                int c1, uint64_t policy) {
  asm volatile(KW_TMA_LOAD
               "2d" KW_TMA_TILE
               ".L2::cache_hint [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "r"(c0), "r"(c1), "l"(policy)
               : "memory");
}

// To the same place in every block of the cluster whose bit is in `blocks`; the barrier at the same
// place in each counts the bytes.
KW_DEVICE void kw_tma_load_multicast(void* shared, const kw_tensor_map* map, kw_mbarrier* bar,
                                     uint16_t blocks, int c0, int c1) {
  asm volatile(KW_TMA_LOAD
               "2d" KW_TMA_TILE
               ".multicast::cluster [%0], [%1, {%4, %5}], [%2], %3;" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "h"(blocks), "r"(c0), "r"(c1)
               : "memory");
}
KW_DEVICE void kw_tma_load_multicast(void* shared, const kw_tensor_map* map, kw_mbarrier* bar,
                                     uint16_t blocks, int c0, int c1, int c2) {
  asm volatile(KW_TMA_LOAD
               "3d" KW_TMA_TILE
               ".multicast::cluster [%0], [%1, {%4, %5, %6}], [%2], %3;" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "h"(blocks), "r"(c0), "r"(c1), "r"(c2)
               : "memory");
}

#define KW_TMA_IM2COL ".shared::cluster.global.im2col.mbarrier::complete_tx::bytes"
// im2col maps over NWC, NHWC and NDHWC: c channels, then w (h, d), then n; the offsets say which
// filter tap.
KW_DEVICE void kw_tma_load_im2col(void* shared, const kw_tensor_map* map, kw_mbarrier* bar, int c,
                                  int w, int n, uint16_t tap_w) {
  asm volatile(KW_TMA_LOAD "3d" KW_TMA_IM2COL
                           " [%0], [%1, {%3, %4, %5}], [%2], {%6};" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "r"(c), "r"(w), "r"(n), "h"(tap_w)
               : "memory");
}
KW_DEVICE void kw_tma_load_im2col(void* shared, const kw_tensor_map* map, kw_mbarrier* bar, int c,
                                  int w, int h, int n, uint16_t tap_w, uint16_t tap_h) {
  asm volatile(KW_TMA_LOAD
               "4d" KW_TMA_IM2COL
               " [%0], [%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "r"(c), "r"(w), "r"(h), "r"(n), "h"(tap_w), "h"(tap_h)
               : "memory");
}
KW_DEVICE void kw_tma_load_im2col(void* shared, const kw_tensor_map* map, kw_mbarrier* bar, int c,
                                  int w, int h, int d, int n, uint16_t tap_w, uint16_t tap_h,
                                  uint16_t tap_d) {
  asm volatile(KW_TMA_LOAD
               "5d" KW_TMA_IM2COL
               " [%0], [%1, {%3, %4, %5, %6, %7}], [%2], {%8, %9, %10};" ::"r"(kw_shared(shared)),
               "l"(map), "r"(kw_shared(bar)), "r"(c), "r"(w), "r"(h), "r"(d), "r"(n), "h"(tap_w),
               "h"(tap_h), "h"(tap_d)
               : "memory");
}

// Shared memory to a tile; parts outside the tensor are dropped. Before it kw_fence_async() in the
// writers and a barrier; after it kw_tma_commit() and a wait.
KW_DEVICE void kw_tma_store(const kw_tensor_map* map, const void* shared, int c0) {
  asm volatile(
      "cp.async.bulk.tensor.1d.global.shared::cta.tile.bulk_group [%0, {%2}], [%1];" ::"l"(map),
      "r"(kw_shared(shared)), "r"(c0)
      : "memory");
}
KW_DEVICE void kw_tma_store(const kw_tensor_map* map, const void* shared, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map),
      "r"(kw_shared(shared)), "r"(c0), "r"(c1)
      : "memory");
}
KW_DEVICE void kw_tma_store(const kw_tensor_map* map, const void* shared, int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(
          map),
      "r"(kw_shared(shared)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
KW_DEVICE void kw_tma_store(const kw_tensor_map* map, const void* shared, int c0, int c1, int c2,
                            int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5}], "
      "[%1];" ::"l"(map),
      "r"(kw_shared(shared)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}
KW_DEVICE void kw_tma_store(const kw_tensor_map* map, const void* shared, int c0, int c1, int c2,
                            int c3, int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5, %6}], "
      "[%1];" ::"l"(map),
      "r"(kw_shared(shared)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4)
      : "memory");
}
// Adds to the tile instead, element by element; the order is not fixed.
KW_DEVICE void kw_tma_add(const kw_tensor_map* map, const void* shared, int c0, int c1) {
  asm volatile(
      "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group [%0, {%2, %3}], "
      "[%1];" ::"l"(map),
      "r"(kw_shared(shared)), "r"(c0), "r"(c1)
      : "memory");
}

// Bytes in a row, without a map. Both addresses and the size are multiples of 16.
KW_DEVICE void kw_bulk_load(void* shared, const void* global, uint32_t bytes, kw_mbarrier* bar) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, "
      "[%3];" ::"r"(kw_shared(shared)),
      "l"(global), "r"(bytes), "r"(kw_shared(bar))
      : "memory");
}
KW_DEVICE void kw_bulk_store(void* global, const void* shared, uint32_t bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global),
               "r"(kw_shared(shared)), "r"(bytes)
               : "memory");
}

KW_DEVICE void kw_tma_commit() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
// Until at most N of this thread's groups still read shared memory: it may be written again.
template <int N>
KW_DEVICE void kw_tma_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}
// Until at most N are not complete.
template <int N>
KW_DEVICE void kw_tma_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory");
}

#undef KW_TMA_LOAD
#undef KW_TMA_TILE
#undef KW_TMA_IM2COL

#endif  // sm_90
#endif

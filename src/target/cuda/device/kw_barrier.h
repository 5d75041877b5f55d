// SPDX-License-Identifier: Apache-2.0
// Synchronization that Hopper has: mbarriers, clusters and distributed shared memory, dependent
// launches, register budgets. Named barriers are there on every device.
#ifndef KW_BARRIER_H
#define KW_BARRIER_H

#include "kw_memory.h"
#include "kw_types.h"

// Barrier `id` (1 to 15; 0 is __syncthreads) over `threads` threads of the block.
KW_DEVICE void kw_named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// Counts as arrived without waiting.
KW_DEVICE void kw_named_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

#if __CUDA_ARCH__ >= 900

// One thread of the warp, the same one each time: true in it.
KW_DEVICE bool kw_elect() {
  uint32_t chosen;
  asm volatile(
      "{\n.reg .pred p;\n"
      "elect.sync _|p, 0xffffffff;\n"
      "selp.u32 %0, 1, 0, p;\n}\n"
      : "=r"(chosen));
  return chosen != 0;
}

// --- mbarriers: 8 bytes of shared memory each. A phase completes when all expected arrivals and
// bytes are in; a waiter names the parity of the phase it waits for: 0, 1, 0, ...

typedef uint64_t kw_mbarrier;

KW_DEVICE void kw_mbarrier_init(kw_mbarrier* bar, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(kw_shared(bar)), "r"(arrivals)
               : "memory");
}
// Makes initialized barriers known to the copy engine and to the other blocks of the cluster. Then
// __syncthreads() or kw_cluster_sync().
KW_DEVICE void kw_mbarrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
KW_DEVICE void kw_mbarrier_invalidate(kw_mbarrier* bar) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(kw_shared(bar)) : "memory");
}
KW_DEVICE void kw_mbarrier_arrive(kw_mbarrier* bar) {
  asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(kw_shared(bar))
               : "memory");
}
// Arrives and announces that `bytes` will be copied in.
KW_DEVICE void kw_mbarrier_arrive_expect(kw_mbarrier* bar, uint32_t bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(kw_shared(bar)),
      "r"(bytes)
      : "memory");
}
// Arrives at the barrier that stands at the same place in block `rank` of the cluster.
KW_DEVICE void kw_mbarrier_arrive_cluster(kw_mbarrier* bar, uint32_t rank) {
  asm volatile(
      "{\n.reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}\n" ::"r"(kw_shared(bar)),
      "r"(rank)
      : "memory");
}
// The same for a block that has read what it was sent (a stage of a ring, multicast or not): what
// it says is that the place is free. Orders nothing that this block wrote, and costs less.
KW_DEVICE void kw_mbarrier_hand_back(kw_mbarrier* bar, uint32_t rank) {
  asm volatile(
      "{\n.reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}\n" ::"r"(kw_shared(bar)),
      "r"(rank)
      : "memory");
}
KW_DEVICE bool kw_mbarrier_test(kw_mbarrier* bar, uint32_t parity) {
  uint32_t done;
  asm volatile(
      "{\n.reg .pred p;\n"
      "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n}\n"
      : "=r"(done)
      : "r"(kw_shared(bar)), "r"(parity)
      : "memory");
  return done != 0;
}
KW_DEVICE void kw_mbarrier_wait(kw_mbarrier* bar, uint32_t parity) {
  while (!kw_mbarrier_test(bar, parity)) {
  }
}
// The same where other blocks of the cluster arrive and what they wrote is read afterwards. Every
// such wait costs far more than the plain one: where they only say that they have read (a stage of
// a multicast ring may be filled again), kw_mbarrier_wait is right.
KW_DEVICE void kw_mbarrier_wait_cluster(kw_mbarrier* bar, uint32_t parity) {
  uint32_t done = 0;
  while (done == 0)
    asm volatile(
        "{\n.reg .pred p;\n"
        "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}\n"
        : "=r"(done)
        : "r"(kw_shared(bar)), "r"(parity)
        : "memory");
}

// Position in a ring of kStages buffers with the parity of the current round.
template <int kStages>
struct kw_ring {
  int stage = 0;
  uint32_t parity = 0;
  __device__ __forceinline__ void next() {
    if (++stage == kStages) {
      stage = 0;
      parity ^= 1u;
    }
  }
};

// What this thread stored to shared memory becomes visible to the copy engine and the tensor cores;
// before the barrier that hands it over.
KW_DEVICE void kw_fence_async() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
KW_DEVICE void kw_fence_async_global() {
  asm volatile("fence.proxy.async.global;" ::: "memory");
}

// --- clusters

KW_DEVICE uint32_t kw_cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
KW_DEVICE uint32_t kw_cluster_blocks() {
  uint32_t count;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(count));
  return count;
}
KW_DEVICE void kw_cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
KW_DEVICE void kw_cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
// A block's shared memory goes with the block: before leaving, all of a cluster whose memory others
// use meet once more.
KW_DEVICE void kw_cluster_sync() {
  kw_cluster_arrive();
  kw_cluster_wait();
}
// Pointer to the same place in the shared memory of block `rank`.
template <class T>
KW_DEVICE T* kw_cluster_map(T* p, uint32_t rank) {
  uint64_t out;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(out) : "l"(p), "r"(rank));
  return (T*)out;
}

// --- dependent launches

// Waits until the launch before this one is done and its writes are visible.
KW_DEVICE void kw_wait_for_previous_launch() {
  asm volatile("griddepcontrol.wait;" ::: "memory");
}
// The next launch may start; what it needs it still waits for.
KW_DEVICE void kw_let_next_launch_start() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

#endif  // sm_90

#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || defined(__CUDA_ARCH_FEAT_SM100_ALL) || \
    defined(__CUDA_ARCH_FEAT_SM103_ALL) || defined(__CUDA_ARCH_FEAT_SM120_ALL)
// Registers per thread of this warpgroup from here on (a multiple of 8, 24 to 240); the kernel
// needs
// __launch_bounds__ with a block count, and every warpgroup one of the two.
template <int kRegisters>
KW_DEVICE void kw_registers_up() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
KW_DEVICE void kw_registers_down() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
#endif

#endif

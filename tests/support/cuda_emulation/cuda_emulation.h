// SPDX-License-Identifier: Apache-2.0
// Enough of CUDA to run generated kernels on a CPU, one block after the other: the threads of a
// block are fibers that switch at barriers and warp exchanges. For finding wrong indices, missing
// guards and divergent barriers without a GPU. The compiled kernels are called through
// kw_emulated_launch().
#ifndef KW_CUDA_EMULATION_H
#define KW_CUDA_EMULATION_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#define KW_EMULATED 1
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// Blocks run one after the other, so what they share may be one place.
#define __shared__ static

struct kw_dim3 {
  unsigned x = 1, y = 1, z = 1;
};
static kw_dim3 blockIdx, blockDim, gridDim, threadIdx;

static inline float __int_as_float(int x) {
  float out;
  memcpy(&out, &x, 4);
  return out;
}
static inline double __longlong_as_double(long long x) {
  double out;
  memcpy(&out, &x, 8);
  return out;
}

namespace kw_emulation {

constexpr int kMostThreads = 1024;
constexpr size_t kStackBytes = 64 << 10;

struct Fiber {
  ucontext_t context;
  char* stack = nullptr;  // stays for the next block
  bool done = false;
  // While it waits: whether it may go on.
  bool (*may_go_on)(const Fiber&) = nullptr;
  int first = 0, last = 0, want = 0;  // it waits for `count` of these threads to reach `want`
  int Fiber::* count = nullptr;
  const uint32_t* word = nullptr;  // it waits for this to reach `reached`
  uint32_t reached = 0;
  int waits = 0;           // barriers of the block passed or waited at
  int cluster_waits = 0;   // the same for its cluster
  int exchanges = 0;       // the same for its warp
  unsigned char value[8];  // offered to the warp
  ~Fiber() { delete[] stack; }
};

struct Block {
  Fiber fibers[kMostThreads];
  ucontext_t scheduler;
  int threads = 0, current = 0;
  void (*call)(void**) = nullptr;
  void** args = nullptr;
  const char* fault = nullptr;
  kw_dim3 index;
  // Dynamic shared memory ends where a guard begins.
  unsigned char* memory = nullptr;
  unsigned char* shared_begin = nullptr;
};
constexpr int kMostBlocks = 16;  // of a cluster, or of a cooperative launch
static Block cluster[kMostBlocks];
static int cluster_blocks = 1, cluster_rank = 0;
static long cluster_arrivals = 0;  // of threads at barriers of the cluster
#define KW_BLOCK kw_emulation::cluster[kw_emulation::cluster_rank]

static inline void yield() {
  Fiber& self = KW_BLOCK.fibers[KW_BLOCK.current];
  swapcontext(&self.context, &KW_BLOCK.scheduler);
}

static void entry() {
  KW_BLOCK.call(KW_BLOCK.args);
  KW_BLOCK.fibers[KW_BLOCK.current].done = true;
  swapcontext(&KW_BLOCK.fibers[KW_BLOCK.current].context, &KW_BLOCK.scheduler);
}

// Whether all threads of [first, last) came as far as the one that asks. A thread that has ended
// never will.
static bool together(int first, int last, int Fiber::* count, int want) {
  for (int t = first; t < last; ++t) {
    if (KW_BLOCK.fibers[t].*count >= want) continue;
    if (KW_BLOCK.fibers[t].done)
      KW_BLOCK.fault = "a thread ended before a barrier that others wait at";
    return false;
  }
  return true;
}

// Leaves the turn to others until the thread may go on, to other blocks when none of its own may.
static inline void wait_until(bool (*may_go_on)(const Fiber&)) {
  Fiber& self = KW_BLOCK.fibers[KW_BLOCK.current];
  self.may_go_on = may_go_on;
  while (!may_go_on(self) && KW_BLOCK.fault == nullptr) yield();
  self.may_go_on = nullptr;
}

static inline void wait_for(int first, int last, int Fiber::* count) {
  Fiber& self = KW_BLOCK.fibers[KW_BLOCK.current];
  self.first = first;
  self.last = last;
  self.count = count;
  self.want = ++(self.*count);
  wait_until([](const Fiber& f) { return together(f.first, f.last, f.count, f.want); });
}

// Every thread of every block of the cluster. One that has ended never comes.
static inline void wait_for_cluster() {
  ++KW_BLOCK.fibers[KW_BLOCK.current].cluster_waits;
  ++cluster_arrivals;
  wait_until([](const Fiber& self) {
    return cluster_arrivals >= (long)self.cluster_waits * cluster_blocks * cluster[0].threads;
  });
}

// Until a word of memory that blocks count up has come as far; differences, as it may pass 2^32.
static inline void wait_for_word(const uint32_t* word, uint32_t reached) {
  Fiber& self = KW_BLOCK.fibers[KW_BLOCK.current];
  self.word = word;
  self.reached = reached;
  wait_until([](const Fiber& f) { return (int32_t)(*f.word - f.reached) >= 0; });
}

}  // namespace kw_emulation

static inline double __fma_rn(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}
static inline void __syncthreads() {
  kw_emulation::wait_for(0, KW_BLOCK.threads, &kw_emulation::Fiber::waits);
}

template <class T>
static inline T __shfl_xor_sync(unsigned, T value, int lanes) {
  using namespace kw_emulation;
  const int self = KW_BLOCK.current, first = self / 32 * 32;
  const int last = first + 32 < KW_BLOCK.threads ? first + 32 : KW_BLOCK.threads;
  memcpy(KW_BLOCK.fibers[self].value, &value, sizeof value);
  wait_for(first, last, &Fiber::exchanges);
  T out = value;
  if ((self ^ lanes) < last) memcpy(&out, KW_BLOCK.fibers[self ^ lanes].value, sizeof out);
  wait_for(first, last, &Fiber::exchanges);
  return out;
}
static inline void __syncwarp(unsigned = 0xffffffffu) {
  (void)__shfl_xor_sync(0xffffffffu, 0, 1);
}

static inline unsigned char* kw_dynamic_shared() {
  return KW_BLOCK.shared_begin;
}

namespace kw_emulation {

constexpr long kGuard = 4096;

static void begin_block(int rank, kw_dim3 index, const unsigned* threads, void (*call)(void**),
                        void** args, long shared_bytes) {
  Block& block = cluster[rank];
  block.index = index;
  block.threads = (int)(threads[0] * threads[1] * threads[2]);
  block.call = call;
  block.args = args;
  block.fault = nullptr;
  block.memory = new unsigned char[(size_t)(shared_bytes + kGuard + 1024)];
  block.shared_begin = (unsigned char*)(((uintptr_t)block.memory + 1023) / 1024 * 1024);
  memset(block.shared_begin, 0xff, (size_t)(shared_bytes + kGuard - 1024));
  for (int t = 0; t < block.threads; ++t) {
    Fiber& fiber = block.fibers[t];
    if (fiber.stack == nullptr) fiber.stack = new char[kStackBytes];
    fiber.done = false;
    fiber.may_go_on = nullptr;
    fiber.waits = fiber.exchanges = fiber.cluster_waits = 0;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, entry, 0);
  }
}

// Until all threads have ended or wait, some for other blocks: static shared memory belongs to one
// block at a time, so nothing in it may be needed across such a wait. Whether any thread had a
// turn.
static bool run_block(int rank) {
  cluster_rank = rank;
  Block& block = cluster[rank];
  blockIdx = block.index;
  bool any = false;
  for (bool turned = true; turned && block.fault == nullptr; any |= turned) {
    turned = false;
    for (int t = 0; t < block.threads && block.fault == nullptr; ++t) {
      const Fiber& fiber = block.fibers[t];
      if (fiber.done || (fiber.may_go_on != nullptr && !fiber.may_go_on(fiber))) continue;
      turned = true;
      block.current = t;
      const unsigned u = (unsigned)t;
      threadIdx = {u % blockDim.x, u / blockDim.x % blockDim.y, u / blockDim.x / blockDim.y};
      swapcontext(&block.scheduler, &block.fibers[t].context);
    }
  }
  return any;
}

static bool ended(int rank) {
  for (int t = 0; t < cluster[rank].threads; ++t) {
    if (!cluster[rank].fibers[t].done) return false;
  }
  return true;
}

static const char* end_block(int rank, long shared_bytes) {
  Block& block = cluster[rank];
  for (long i = 0; i < kGuard - 1024; ++i) {
    if (block.shared_begin[shared_bytes + i] != 0xff) block.fault = "wrote past its shared memory";
  }
  delete[] block.memory;
  return block.fault;
}

}  // namespace kw_emulation

// Runs a kernel over a grid; the text of a fault, or null.
static const char* kw_emulated_launch(void (*call)(void**), void** args, const unsigned* grid,
                                      const unsigned* threads, const unsigned* shape,
                                      long shared_bytes) {
  using namespace kw_emulation;
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {threads[0], threads[1], threads[2]};
  cluster_blocks = (int)(shape[0] * shape[1] * shape[2]);
  if (cluster_blocks > kMostBlocks) return "a cluster of more blocks than are emulated";
  const char* fault = nullptr;
  for (unsigned b = 0; b < grid[0] * grid[1] * grid[2] && fault == nullptr; ++b) {
    const kw_dim3 at = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};
    if (at.x % shape[0] != 0 || at.y % shape[1] != 0 || at.z % shape[2] != 0) continue;
    cluster_arrivals = 0;
    for (int r = 0; r < cluster_blocks; ++r) {
      const unsigned u = (unsigned)r;
      const kw_dim3 index = {at.x + u % shape[0], at.y + u / shape[0] % shape[1],
                             at.z + u / shape[0] / shape[1]};
      begin_block(r, index, threads, call, args, shared_bytes);
    }
    for (bool running = true; running && fault == nullptr;) {
      running = false;
      for (int r = 0; r < cluster_blocks && fault == nullptr; ++r) {
        running |= run_block(r);
        fault = cluster[r].fault;
      }
    }
    for (int r = 0; r < cluster_blocks; ++r) {
      if (fault == nullptr && !ended(r)) fault = "blocks wait for one another for ever";
      const char* found = end_block(r, shared_bytes);
      if (fault == nullptr) fault = found;
    }
  }
  return fault;
}

#endif

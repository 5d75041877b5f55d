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
  char* stack = nullptr;
  bool done = false;
  int waits = 0;           // barriers of the block passed or waited at
  int exchanges = 0;       // the same for its warp
  unsigned char value[8];  // offered to the warp
};

struct Block {
  Fiber fibers[kMostThreads];
  ucontext_t scheduler;
  int threads = 0, current = 0;
  void (*call)(void**) = nullptr;
  void** args = nullptr;
  const char* fault = nullptr;
};
static Block block;

// Dynamic shared memory ends where a guard begins.
static unsigned char* shared_begin = nullptr;

static inline void yield() {
  Fiber& self = block.fibers[block.current];
  swapcontext(&self.context, &block.scheduler);
}

static void entry() {
  block.call(block.args);
  block.fibers[block.current].done = true;
  swapcontext(&block.fibers[block.current].context, &block.scheduler);
}

// Whether all threads of [first, last) came as far as the one that asks. A thread that has ended
// never will.
static bool together(int first, int last, int Fiber::* count, int want) {
  for (int t = first; t < last; ++t) {
    if (block.fibers[t].*count >= want) continue;
    if (block.fibers[t].done) block.fault = "a thread ended before a barrier that others wait at";
    return false;
  }
  return true;
}

static inline void wait_for(int first, int last, int Fiber::* count) {
  const int want = ++(block.fibers[block.current].*count);
  while (!together(first, last, count, want) && block.fault == nullptr) yield();
}

}  // namespace kw_emulation

static inline void __syncthreads() {
  kw_emulation::wait_for(0, kw_emulation::block.threads, &kw_emulation::Fiber::waits);
}

template <class T>
static inline T __shfl_xor_sync(unsigned, T value, int lanes) {
  using namespace kw_emulation;
  const int self = block.current, first = self / 32 * 32;
  const int last = first + 32 < block.threads ? first + 32 : block.threads;
  memcpy(block.fibers[self].value, &value, sizeof value);
  wait_for(first, last, &Fiber::exchanges);
  T out = value;
  if ((self ^ lanes) < last) memcpy(&out, block.fibers[self ^ lanes].value, sizeof out);
  wait_for(first, last, &Fiber::exchanges);
  return out;
}
static inline void __syncwarp(unsigned = 0xffffffffu) {
  (void)__shfl_xor_sync(0xffffffffu, 0, 1);
}

static inline unsigned char* kw_dynamic_shared() {
  return kw_emulation::shared_begin;
}

// Runs a kernel over a grid; the text of a fault, or null.
static const char* kw_emulated_launch(void (*call)(void**), void** args, const unsigned* grid,
                                      const unsigned* threads, long shared_bytes) {
  using namespace kw_emulation;
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {threads[0], threads[1], threads[2]};
  block.threads = (int)(threads[0] * threads[1] * threads[2]);
  block.call = call;
  block.args = args;
  block.fault = nullptr;
  const long guard = 4096;
  unsigned char* memory = new unsigned char[(size_t)(shared_bytes + guard + 1024)];
  shared_begin = (unsigned char*)(((uintptr_t)memory + 1023) / 1024 * 1024);
  for (unsigned b = 0; b < grid[0] * grid[1] * grid[2] && block.fault == nullptr; ++b) {
    blockIdx = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};
    memset(shared_begin, 0xff, (size_t)(shared_bytes + guard - 1024));
    for (int t = 0; t < block.threads; ++t) {
      Fiber& fiber = block.fibers[t];
      if (fiber.stack == nullptr) fiber.stack = new char[kStackBytes];
      fiber.done = false;
      fiber.waits = fiber.exchanges = 0;
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack;
      fiber.context.uc_stack.ss_size = kStackBytes;
      fiber.context.uc_link = nullptr;
      makecontext(&fiber.context, entry, 0);
    }
    for (bool running = true; running && block.fault == nullptr;) {
      running = false;
      for (int t = 0; t < block.threads && block.fault == nullptr; ++t) {
        if (block.fibers[t].done) continue;
        running = true;
        block.current = t;
        const unsigned u = (unsigned)t;
        threadIdx = {u % blockDim.x, u / blockDim.x % blockDim.y, u / blockDim.x / blockDim.y};
        swapcontext(&block.scheduler, &block.fibers[t].context);
      }
    }
    for (long i = 0; i < guard - 1024; ++i) {
      if (shared_begin[shared_bytes + i] != 0xff) block.fault = "wrote past its shared memory";
    }
  }
  delete[] memory;
  return block.fault;
}

#endif

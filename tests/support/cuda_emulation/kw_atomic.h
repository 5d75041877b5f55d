// SPDX-License-Identifier: Apache-2.0
// Stands in for the CUDA device header of this name where kernels are emulated: barriers between
// blocks alone.
#ifndef KW_EMULATED_ATOMIC_H
#define KW_EMULATED_ATOMIC_H

#include <initializer_list>

#include "cuda_emulation.h"

// Words are looked at one after the other; each wait gives up the turn.
template <class T>
static inline void kw_offer(uint64_t* place, int stride, uint32_t flag, T value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  for (int half = 0; half < 2; ++half) {
    uint64_t& word = place[half * stride];
    if ((uint32_t)(word >> 32) >= flag) KW_BLOCK.fault = "offered out of order";
    word = (uint64_t)flag << 32 | (uint32_t)(bits >> (32 * half));
  }
}
template <int kCount>
static inline void kw_await(const uint64_t* place, int stride, uint32_t flag, uint64_t* values) {
  for (int i = 0; i < kCount; ++i) {
    const uint64_t *low = place + 2 * i * stride, *high = low + stride;
    for (const uint64_t* word : {low, high})
      kw_emulation::wait_for_word((const uint32_t*)word + 1, flag);
    for (const uint64_t* word : {low, high}) {
      if ((uint32_t)(*word >> 32) != flag) KW_BLOCK.fault = "overtaken";
    }
    values[i] = *high << 32 | (uint32_t)*low;
  }
}
template <class T>
static inline T kw_offered(uint64_t bits) {
  T value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

struct kw_group_barrier {
  uint32_t* words;
  uint32_t blocks;
  uint32_t reached = 0;

  kw_group_barrier(uint32_t* sync, uint32_t count) : words(sync), blocks(count) {}
  // Every thread waits, where on a GPU the first one does for all: a block gives up its turn when
  // none of its threads can go on.
  void wait() {
    reached += blocks;
    __syncthreads();
    if (threadIdx.x == 0) ++*words;
    kw_emulation::wait_for_word(words, reached);
  }
  void finish() {
    __syncthreads();
    if (threadIdx.x == 0 && ++words[1] == blocks) words[0] = words[1] = 0;
  }
};

#endif

// SPDX-License-Identifier: Apache-2.0
// Stands in for the CUDA device header of this name where kernels are emulated: barriers between
// blocks alone.
#ifndef KW_EMULATED_ATOMIC_H
#define KW_EMULATED_ATOMIC_H

#include "cuda_emulation.h"

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

// SPDX-License-Identifier: Apache-2.0
// Stands in for the CUDA device header of this name where kernels are emulated: clusters alone.
#ifndef KW_EMULATED_BARRIER_H
#define KW_EMULATED_BARRIER_H

#include "cuda_emulation.h"

static inline void kw_cluster_sync() {
  kw_emulation::wait_for_cluster();
}
// Of dynamic shared memory alone: blocks that run in turns have their static memory in one place.
template <class T>
static inline T* kw_cluster_map(T* p, unsigned rank) {
  unsigned char* const other = kw_emulation::cluster[rank].shared_begin;
  return (T*)(other + ((unsigned char*)p - KW_BLOCK.shared_begin));
}

#endif

// SPDX-License-Identifier: Apache-2.0
// Spins on a sync flag that nobody sets.
#include "kernelwright/kernel_abi.h"

extern "C" void f(const kw_args* a, int64_t, int64_t) {
  while (__atomic_load_n(static_cast<uint32_t*>(a->buffers[2]), __ATOMIC_ACQUIRE) == 0) {
  }
  static_cast<float*>(a->buffers[1])[0] = static_cast<const float*>(a->buffers[0])[0];
}

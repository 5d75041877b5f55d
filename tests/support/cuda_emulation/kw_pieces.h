// SPDX-License-Identifier: Apache-2.0
// The device header of this name, which is plain arithmetic, over the emulated memory.
#ifndef KW_EMULATED_PIECES_H
#define KW_EMULATED_PIECES_H

// A test includes it too: no warnings about pragmas of another compiler.
#pragma GCC system_header

#include "kw_memory.h"

static inline uint32_t __float_as_uint(float x) {
  uint32_t out;
  memcpy(&out, &x, 4);
  return out;
}
static inline float __uint_as_float(uint32_t x) {
  float out;
  memcpy(&out, &x, 4);
  return out;
}

#define KW_DEVICE static inline
#define KW_MEMORY_H  // not the device's own
#include "../../../src/target/cuda/device/kw_pieces.h"

#endif

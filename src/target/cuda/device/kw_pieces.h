// SPDX-License-Identifier: Apache-2.0
// An fp32 number as three bf16 numbers that add up to it: x = h + m + l, 8 bits each. For products
// of fp32 numbers on bf16 tensor cores (G. Henry, P. T. P. Tang, A. Heinecke, "Leveraging the
// bfloat16 artificial intelligence datatype for higher-precision computations", 2019).
//
// h is x cut off, so that the largest numbers stay finite; m and l are rounded to nearest, so that
// what is left out of a product has no sign of its own. The sum is exact for |x| >= 2^-109 and
// within 2^-133 of x below (what bf16's subnormals resolve). Of an infinity or NaN m and l are 0: a
// product with an infinity is NaN as soon as a piece of the other factor is 0.
#ifndef KW_PIECES_H
#define KW_PIECES_H

#include "kw_memory.h"

struct kw_pieces {
  uint16_t h, m, l;  // bits of bf16 numbers
};

namespace kw_detail {

// Bits of a finite number rounded to bf16, half to even.
KW_DEVICE uint32_t nearest_bf16(float x) {
  const uint32_t u = __float_as_uint(x);
  return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}

}  // namespace kw_detail

KW_DEVICE kw_pieces kw_split_pieces(float x) {
  const uint32_t u = __float_as_uint(x), high = u & 0xffff0000u;
  if ((u & 0x7f800000u) == 0x7f800000u) {
    const uint32_t quiet = (u & 0x007fffffu) != 0 ? 0x40u : 0u;
    return {(uint16_t)(high >> 16 | quiet), 0, 0};
  }
  const float rest = x - __uint_as_float(high);
  const uint32_t middle = kw_detail::nearest_bf16(rest);
  const uint32_t low = kw_detail::nearest_bf16(rest - __uint_as_float(middle << 16));
  return {(uint16_t)(high >> 16), (uint16_t)middle, (uint16_t)low};
}

// The pieces of four neighbours into planes `distance` elements apart; `to` is aligned to 8 bytes.
KW_DEVICE void kw_store_pieces(uint16_t* to, int64_t distance, const float (&x)[4]) {
  kw_vec<uint16_t, 4> h, m, l;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const kw_pieces pieces = kw_split_pieces(x[i]);
    h.v[i] = pieces.h;
    m.v[i] = pieces.m;
    l.v[i] = pieces.l;
  }
  kw_store(to, h);
  kw_store(to + distance, m);
  kw_store(to + 2 * distance, l);
}

#endif

// SPDX-License-Identifier: Apache-2.0
// IEEE half (f16) and bfloat16 as storage types. Conversions round half to even, keep denormals,
// infinities and NaN. Included by kw_math.h.
#ifndef KW_HALF_H
#define KW_HALF_H

#include "kw_basic.h"

typedef uint16_t kw_f16;
typedef uint16_t kw_bf16;

KW_INLINE float kw_bf16_to_f32(kw_bf16 h) {
  return kw_from_bits((uint32_t)h << 16);
}

KW_INLINE kw_bf16 kw_f32_to_bf16(float x) {
  const uint32_t u = kw_bits(x);
  const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const uint32_t quiet = (u >> 16) | 0x40u;
  return (kw_bf16)((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

KW_INLINE float kw_f16_to_f32(kw_f16 h) {
  const uint32_t u = h;
  // The multiplication moves the exponent's bias and makes denormals normal; it is exact.
  const uint32_t scaled = kw_bits(kw_from_bits((u & 0x7fffu) << 13) * 0x1p112f);
  const uint32_t special = (u & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
  return kw_from_bits(scaled | special | ((u & 0x8000u) << 16));
}

KW_INLINE kw_f16 kw_f32_to_f16(float x) {
  const uint32_t u = kw_bits(x);
  const uint32_t a = u & 0x7fffffffu;
  const uint32_t normal = (a + 0xfffu + ((a >> 13) & 1u) - (112u << 23)) >> 13;
  // Adding 0.5 leaves the bits of a denormal result, rounded, at the low end.
  const uint32_t denormal = kw_bits(kw_from_bits(a) + 0.5f) - 0x3f000000u;
  uint32_t h = a < 0x38800000u ? denormal : normal;
  h = a >= 0x477ff000u ? 0x7c00u : h;
  h = a > 0x7f800000u ? 0x7e00u : h;
  return (kw_f16)(h | ((u >> 16) & 0x8000u));
}

#endif

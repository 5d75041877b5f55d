// SPDX-License-Identifier: Apache-2.0
// pow. Included by kw_math.h, which states its error. The float version computes 2^(y log2 |x|) in
// double.
#ifndef KW_POW_H
#define KW_POW_H

#include "kw_exp.h"

KW_INLINE float kw_pow(float x, float y) {
  const float ax = __builtin_fabsf(x);
  const float inf = __builtin_inff();
  // log2 |x|; a float's denormals are normal doubles.
  const uint64_t u = kw_bits((double)ax);
  const int64_t k = (int64_t)(u - 0x3fe6a09e667f3bcdull) >> 52;
  const double m = kw_from_bits(u - ((uint64_t)k << 52));
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double p = 0x1.e2fd9af68c33ep-3;
  p = p * z + 0x1.2438ab47e4c3ep-2;
  p = p * z + 0x1.999a7b27632ffp-2;
  p = p * z + 0x1.555554fd5521ap-1;
  double l = (double)k + 0x1.71547652b82fep0 * (s * (2.0 + z * p));
  l = ax < inf ? l : (double)ax;
  l = ax == 0.0f ? -__builtin_inf() : l;
  double t = (double)y * l;
  t = t > 200.0 ? 200.0 : t;
  t = t < -200.0 ? -200.0 : t;
  const double kt = t + KW_ROUNDER_F64;
  const int64_t n = (int64_t)(kw_bits(kt) - kw_bits(KW_ROUNDER_F64));
  const double r = t - (kt - KW_ROUNDER_F64);
  double q = 0x1.00f7b399166e5p-16;
  q = q * r + 0x1.446c81885eb34p-13;
  q = q * r + 0x1.5d8715af68777p-10;
  q = q * r + 0x1.3b29d8afa6e4ep-7;
  q = q * r + 0x1.c6b08e06f42b5p-5;
  q = q * r + 0x1.ebfbe0aa14f5dp-3;
  q = q * r + 0x1.62e42fef6cd41p-1;
  q = q * r + 0x1.ffffffffa7042p-1;
  // Rounds, overflows and becomes denormal in one step.
  const float size = (float)(q * kw_pow2(n));

  const float h = 0.5f * y;
  const bool whole = __builtin_floorf(y) == y;
  const bool odd = whole & (__builtin_floorf(h) != h);
  const bool negative = (kw_bits(x) >> 31) != 0;
  float v = kw_from_bits(kw_bits(size) | ((negative & odd) ? 0x80000000u : 0u));
  v = ((x < 0.0f) & (ax < inf) & !whole) ? __builtin_nanf("") : v;
  v = x != x || y != y ? x + y : v;
  // 1^y, x^0 and (-1)^(+-inf) are 1 whatever the other is.
  const bool one = (y == 0.0f) | (x == 1.0f) | ((x == -1.0f) & (__builtin_fabsf(y) == inf));
  return one ? 1.0f : v;
}

KW_INLINE double kw_pow(double x, double y) {
  return __builtin_pow(x, y);
}

#endif

// SPDX-License-Identifier: Apache-2.0
// sin, cos, tan for every float, without CUDA's own, whose tables lie in writable memory and do not
// pass the screen. Included by kw_math.h.
#ifndef KW_TRIG_H
#define KW_TRIG_H

#include "kw_types.h"

// 2/pi, 192 bits, the first first.
static __constant__ uint32_t kw_two_over_pi[6] = {0xa2f9836eu, 0x4e441529u, 0xfc2757d1u,
                                                  0xf534ddc0u, 0xdb629599u, 0x3c439041u};

// |x| = n pi/2 + r with |r| <= pi/4 and a little; gives r and n mod 4. x is finite.
KW_DEVICE float kw_trig_reduced(float x, int* n) {
  const float a = fabsf(x);
  if (a < 1e5f) {
    // pi/2 in three parts; a multiply-add keeps the products whole.
    const float k = rintf(a * 0.636619772f);
    float r = fmaf(k, -1.57079637f, a);
    r = fmaf(k, 4.37113883e-8f, r);
    r = fmaf(k, 1.71512489e-15f, r);
    *n = (int)k & 3;
    return r;
  }
  // a = m 2^(e-32). The product of m and 2/pi is a fixed-point number of 224 bits whose point lies
  // e bits from its top; two bits before the point are n, 64 behind it are enough (Payne, Hanek).
  const uint32_t bits = __float_as_uint(a), m = bits << 8 | 0x80000000u;
  const int e = (int)(bits >> 23) - 126, from = (e - 2) >> 5, shift = (e - 2) & 31;
  uint32_t product[7], carry = 0;
#pragma unroll
  for (int i = 5; i >= 0; --i) {
    const uint64_t part = (uint64_t)kw_two_over_pi[i] * m + carry;
    product[i + 1] = (uint32_t)part;
    carry = (uint32_t)(part >> 32);
  }
  product[0] = carry;
  uint32_t high = 0, middle = 0, low = 0, last = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (i == from) {
      high = product[i];
      middle = product[i + 1];
      low = product[i + 2];
      last = product[i + 3];
    }
  high = __funnelshift_l(middle, high, shift);
  middle = __funnelshift_l(low, middle, shift);
  low = __funnelshift_l(last, low, shift);
  const uint64_t fraction =
      (uint64_t)(high << 2 | middle >> 30) << 32 | (uint64_t)(middle << 2 | low >> 30);
  // As a signed number of 2^-64: above one half it belongs to the next n.
  const int64_t rest = (int64_t)fraction;
  *n = (int)((high >> 30) + (rest < 0 ? 1u : 0u)) & 3;
  return (float)((double)rest * 0x1.921fb54442d18p-64);
}

KW_DEVICE float kw_sin_reduced(float r) {
  const float z = r * r;
  float p = 0x1.6b8536p-19f;
  p = fmaf(p, z, -0x1.a00964p-13f);
  p = fmaf(p, z, 0x1.111100p-7f);
  p = fmaf(p, z, -0x1.555556p-3f);
  return fmaf(r * z, p, r);
}
KW_DEVICE float kw_cos_reduced(float r) {
  const float z = r * r;
  float p = -0x1.232f12p-22f;
  p = fmaf(p, z, 0x1.a00bcep-16f);
  p = fmaf(p, z, -0x1.6c16b0p-10f);
  p = fmaf(p, z, 0x1.555556p-5f);
  return fmaf(z * z, p, fmaf(-0.5f, z, 1.0f));
}

KW_DEVICE float kw_sin(float x) {
  if (!(fabsf(x) < __int_as_float(0x7f800000))) return x - x;
  int n;
  const float r = kw_trig_reduced(x, &n);
  const float y = (n & 1) != 0 ? kw_cos_reduced(r) : kw_sin_reduced(r);
  const uint32_t sign = (uint32_t)(n & 2) << 30 ^ (__float_as_uint(x) & 0x80000000u);
  return __uint_as_float(__float_as_uint(y) ^ sign);
}
KW_DEVICE float kw_cos(float x) {
  if (!(fabsf(x) < __int_as_float(0x7f800000))) return x - x;
  int n;
  const float r = kw_trig_reduced(x, &n);
  const float y = (n & 1) != 0 ? kw_sin_reduced(r) : kw_cos_reduced(r);
  return __uint_as_float(__float_as_uint(y) ^ (uint32_t)((n + 1) & 2) << 30);
}
KW_DEVICE float kw_tan(float x) {
  if (!(fabsf(x) < __int_as_float(0x7f800000))) return x - x;
  int n;
  const float r = kw_trig_reduced(x, &n);
  const float s = kw_sin_reduced(r), c = kw_cos_reduced(r);
  const float y = (n & 1) != 0 ? -c / s : s / c;
  return __uint_as_float(__float_as_uint(y) ^ (__float_as_uint(x) & 0x80000000u));
}

#endif

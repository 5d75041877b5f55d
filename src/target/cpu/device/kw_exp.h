// SPDX-License-Identifier: Apache-2.0
// exp, expm1, tanh, sigmoid, erf, log, log1p, log2, softplus. Included by kw_math.h, which states
// their errors. Method: x = n ln2 + r with |r| <= ln2/2, or x = 2^e m with m in [sqrt(1/2),
// sqrt(2)); minimax polynomials (Remez) for what is left.
#ifndef KW_EXP_H
#define KW_EXP_H

#include "kw_basic.h"

// Adding and subtracting 1.5 * 2^23 (2^52) rounds to an integer and leaves it in the low bits.
#define KW_ROUNDER_F32 0x1.8p23f
#define KW_ROUNDER_F64 0x1.8p52

// x within [low, high], low < 0 < high; NaN becomes one of the two. Compares the bits as integers:
// a comparison of floats is a branch to the compiler, which follows it to the constant behind it
// and merges the paths again at three times the cost.
KW_INLINE float kw_within(float x, float low, float high) {
  const int32_t from_above = (int32_t)kw_bits(high);
  int32_t b = (int32_t)kw_bits(x);
  b = b < from_above ? b : from_above;
  // Among negative floats the lower has the larger bits.
  const uint32_t from_below = kw_bits(low);
  const uint32_t u = (uint32_t)b < from_below ? (uint32_t)b : from_below;
  return kw_from_bits(u);
}
// |x|, at most `high`; that for NaN.
KW_INLINE float kw_magnitude_to(float x, float high) {
  const uint32_t b = kw_bits(x) & 0x7fffffffu, most = kw_bits(high);
  return kw_from_bits(b < most ? b : most);
}

// expm1(x - n ln2), n in *n. |x| below 2^20; NaN stays NaN.
KW_INLINE float kw_expm1_reduced(float x, int32_t* n) {
  const float k = x * 0x1.715476p0f + KW_ROUNDER_F32;
  *n = (int32_t)(kw_bits(k) - kw_bits(KW_ROUNDER_F32));
  const float kf = k - KW_ROUNDER_F32;
  // ln2 in two parts, the first short enough for an exact product.
  const float r = (x - kf * 0.693359375f) - kf * -2.12194440e-4f;
  float q = 0x1.6d97bep-10f;
  q = q * r + 0x1.122876p-7f;
  q = q * r + 0x1.555488p-5f;
  q = q * r + 0x1.5554aep-3f;
  q = q * r + 0.5f;
  return r + (r * r) * q;
}

KW_INLINE double kw_expm1_reduced(double x, int64_t* n) {
  const double k = x * 0x1.71547652b82fep0 + KW_ROUNDER_F64;
  *n = (int64_t)(kw_bits(k) - kw_bits(KW_ROUNDER_F64));
  const double kf = k - KW_ROUNDER_F64;
  const double r = (x - kf * 0x1.62e42feep-1) - kf * 0x1.a39ef35793c76p-33;
  double q = 0x1.1f95c369fe518p-29;
  q = q * r + 0x1.af5f32d3d8006p-26;
  q = q * r + 0x1.27e4c5605b780p-22;
  q = q * r + 0x1.71ddf81688486p-19;
  q = q * r + 0x1.a01a01b0d6d6cp-16;
  q = q * r + 0x1.a01a01affb17fp-13;
  q = q * r + 0x1.6c16c16c143e2p-10;
  q = q * r + 0x1.111111110f67ep-7;
  q = q * r + 0x1.555555555555ap-5;
  q = q * r + 0x1.5555555555559p-3;
  q = q * r + 0.5;
  return r + (r * r) * q;
}

KW_INLINE float kw_pow2(int32_t n) {
  return kw_from_bits((uint32_t)(n + 127) << 23);
}
KW_INLINE double kw_pow2(int64_t n) {
  return kw_from_bits((uint64_t)(n + 1023) << 52);
}

KW_INLINE float kw_exp(float x) {
  int32_t n;
  const float p = 1.0f + kw_expm1_reduced(kw_within(x, -104.0f, 89.0f), &n);
  // In two steps: neither factor overflows, and a denormal result is rounded once.
  const int32_t half = n >> 1;
  const float y = (p * kw_pow2(half)) * kw_pow2(n - half);
  return x == x ? y : x;
}

KW_INLINE double kw_exp(double x) {
  double c = x > 710.0 ? 710.0 : x;
  c = c < -746.0 ? -746.0 : c;
  int64_t n;
  const double p = 1.0 + kw_expm1_reduced(c, &n);
  const int64_t half = n >> 1;
  return (p * kw_pow2(half)) * kw_pow2(n - half);
}

// expm1 of an x within [-20, 89], but for the sign of zero.
KW_INLINE float kw_expm1_within(float x) {
  int32_t n;
  const float m = kw_expm1_reduced(x, &n);
  const float s = kw_pow2(n - 1);
  const float y = 2.0f * (m * s + (s - 0.5f));
  return n == 0 ? m : y;
}

KW_INLINE float kw_expm1(float x) {
  const float y = kw_expm1_within(kw_within(x, -20.0f, 89.0f));
  return __builtin_islessgreater(x, 0.0f) ? y : x;
}

KW_INLINE double kw_expm1(double x) {
  double c = x > 710.0 ? 710.0 : x;
  c = c < -40.0 ? -40.0 : c;
  int64_t n;
  const double m = kw_expm1_reduced(c, &n);
  const double s = kw_pow2(n - 1);
  double y = 2.0 * (m * s + (s - 0.5));
  y = n == 0 ? m : y;
  return x == 0.0 ? x : y;
}

KW_INLINE float kw_tanh(float x) {
  const float m = kw_expm1_within(-2.0f * kw_magnitude_to(x, 10.0f));
  const float y = __builtin_copysignf(-m / (m + 2.0f), x);
  return x == x ? y : x;
}

KW_INLINE double kw_tanh(double x) {
  double a = __builtin_fabs(x);
  a = a > 20.0 ? 20.0 : a;
  const double m = kw_expm1(-2.0 * a);
  return __builtin_copysign(-m / (m + 2.0), x);
}

// 1 / (1 + e^-x), without overflow on either side.
KW_INLINE float kw_sigmoid(float x) {
  const float e = kw_exp(-__builtin_fabsf(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

KW_INLINE double kw_sigmoid(double x) {
  const double e = kw_exp(-__builtin_fabs(x));
  return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

// x + x E(x^2) below 0.95, 1 - e^-G(|x|) above.
KW_INLINE float kw_erf(float x) {
  const float z = x * x;
  float e = 0x1.574eb2p-14f;
  e = e * z + -0x1.a88da2p-11f;
  e = e * z + 0x1.54966cp-8f;
  e = e * z + -0x1.b80962p-6f;
  e = e * z + 0x1.ce2dccp-4f;
  e = e * z + -0x1.812742p-2f;
  e = e * z + 0x1.06eba8p-3f;
  const float small = x + x * e;
  const float a = kw_magnitude_to(x, 4.0f);
  float g = 0x1.5ece6ep-16f;
  g = g * a + -0x1.c54dd8p-12f;
  g = g * a + 0x1.10aa2cp-8f;
  g = g * a + -0x1.9b1970p-6f;
  g = g * a + 0x1.bb5658p-4f;
  g = g * a + 0x1.444b40p-1f;
  g = g * a + 0x1.212698p+0f;
  g = g * a + -0x1.65ad8ep-13f;
  int32_t n;
  const float m = kw_expm1_reduced(-g, &n);
  const float s = kw_pow2(n);
  const float big = __builtin_copysignf((1.0f - s) - m * s, x);
  return __builtin_fabsf(x) >= 0.95f ? big : small;  // of NaN, the one that keeps it
}
KW_INLINE double kw_erf(double x) {
  return __builtin_erf(x);
}

// x = 2^e (1 + f) for a positive, finite x.
KW_INLINE float kw_log_split(float x, float* e) {
  const bool denormal = x < 0x1p-126f;
  const uint32_t u = kw_bits(denormal ? x * 0x1p23f : x);
  const int32_t k = (int32_t)(u - 0x3f3504f3u) >> 23;
  *e = (float)(k - (denormal ? 23 : 0));
  return kw_from_bits(u - ((uint32_t)k << 23)) - 1.0f;
}

KW_INLINE double kw_log_split(double x, double* e) {
  const bool denormal = x < 0x1p-1022;
  const uint64_t u = kw_bits(denormal ? x * 0x1p52 : x);
  const int64_t k = (int64_t)(u - 0x3fe6a09e667f3bcdull) >> 52;
  *e = (double)(k - (denormal ? 52 : 0));
  return kw_from_bits(u - ((uint64_t)k << 52)) - 1.0;
}

// log(1 + f) - f for 1 + f in [sqrt(1/2), sqrt(2)).
KW_INLINE float kw_log1p_rest(float f) {
  float p = 0x1.1b5186p-4f;
  p = p * f + -0x1.e2e492p-4f;
  p = p * f + 0x1.e64650p-4f;
  p = p * f + -0x1.fb4368p-4f;
  p = p * f + 0x1.233392p-3f;
  p = p * f + -0x1.5562e8p-3f;
  p = p * f + 0x1.99a53ap-3f;
  p = p * f + -0x1.ffffeep-3f;
  p = p * f + 0x1.555546p-2f;
  const float f2 = f * f;
  return f2 * f * p - 0.5f * f2;
}

KW_INLINE double kw_log1p_rest(double f) {
  const double s = f / (2.0 + f);
  const double z = s * s;
  double p = 0x1.0f6a6bb69bc35p-3;
  p = p * z + 0x1.0f5bfbe62fe8dp-3;
  p = p * z + 0x1.3b20b491178f7p-3;
  p = p * z + 0x1.745cde0181de4p-3;
  p = p * z + 0x1.c71c7259a206ap-3;
  p = p * z + 0x1.249249242ab83p-2;
  p = p * z + 0x1.9999999999e06p-2;
  p = p * z + 0x1.5555555555555p-1;
  // 2s = f - sf.
  return s * (z * p - f);
}

// The result of a logarithm with its special values put in.
KW_INLINE float kw_log_specials(float x, float y) {
  y = x < __builtin_inff() ? y : x;
  y = x == 0.0f ? -__builtin_inff() : y;
  return x < 0.0f ? __builtin_nanf("") : y;
}
KW_INLINE double kw_log_specials(double x, double y) {
  y = x < __builtin_inf() ? y : x;
  y = x == 0.0 ? -__builtin_inf() : y;
  return x < 0.0 ? __builtin_nan("") : y;
}

KW_INLINE float kw_log(float x) {
  float e;
  const float f = kw_log_split(x, &e);
  const float y = e * 0.693359375f + (f + (kw_log1p_rest(f) + e * -2.12194440e-4f));
  return kw_log_specials(x, y);
}

KW_INLINE double kw_log(double x) {
  double e;
  const double f = kw_log_split(x, &e);
  const double y = e * 0x1.62e42feep-1 + (f + (kw_log1p_rest(f) + e * 0x1.a39ef35793c76p-33));
  return kw_log_specials(x, y);
}

// log(u) with u = 1 + x, and what rounding to u lost.
KW_INLINE float kw_log1p(float x) {
  const float u = 1.0f + x;
  const float lost = x < 1.0f ? x - (u - 1.0f) : 1.0f - (u - x);
  // u is no denormal; what was lost joins the mantissa, at its scale (none where that has no bits).
  const int32_t k = (int32_t)(kw_bits(u) - 0x3f3504f3u) >> 23;
  const float scale = kw_pow2(k < 126 ? -k : -126);
  const float f = (kw_from_bits(kw_bits(u) - ((uint32_t)k << 23)) - 1.0f) + lost * scale;
  const float e = (float)k;
  float y = e * 0.693359375f + (f + (kw_log1p_rest(f) + e * -2.12194440e-4f));
  y = x < __builtin_inff() ? y : x;
  y = x > -1.0f ? y : x == -1.0f ? -__builtin_inff() : __builtin_nanf("");
  return x == 0.0f ? x : y;
}

KW_INLINE double kw_log1p(double x) {
  const double u = 1.0 + x;
  const double lost = x < 1.0 ? x - (u - 1.0) : 1.0 - (u - x);
  double y = kw_log(u) + lost / u;
  y = x < __builtin_inf() ? y : x;
  y = x == -1.0 ? -__builtin_inf() : y;
  return x == 0.0 ? x : y;
}

// log2(e) in two parts: the first product is exact enough for both to add up.
KW_INLINE float kw_log2(float x) {
  float e;
  const float f = kw_log_split(x, &e);
  const float r = kw_log1p_rest(f);
  const float y = e + (f * 0x1.7140p+0f + (f * 0x1.47652cp-12f + r * 0x1.715476p0f));
  return kw_log_specials(x, y);
}
KW_INLINE double kw_log2(double x) {
  return __builtin_log2(x);
}

// max(x, 0) + log1p(t) with t = exp(-|x|), so that the logarithm's polynomial has [0, 1] for its
// own (log1p(t) / t, near-minimax).
KW_INLINE float kw_softplus(float x) {
  int32_t n;
  const float p = 1.0f + kw_expm1_reduced(-kw_magnitude_to(x, 104.0f), &n);
  const int32_t half = n >> 1;
  const float t = (p * kw_pow2(half)) * kw_pow2(n - half);
  float q = -0x1.a9335cp-9f;
  q = q * t + 0x1.453f08p-6f;
  q = q * t + -0x1.d29cc4p-5f;
  q = q * t + 0x1.b2535ep-4f;
  q = q * t + -0x1.397562p-3f;
  q = q * t + 0x1.92f696p-3f;
  q = q * t + -0x1.ff0f88p-3f;
  q = q * t + 0x1.554c8p-2f;
  q = q * t + -0x1.ffffbep-2f;
  q = q * t + 1.0f;
  const int32_t bits = (int32_t)kw_bits(x);
  const float y = kw_from_bits((uint32_t)(bits > 0 ? bits : 0)) + t * q;
  return x == x ? y : x;
}

KW_INLINE double kw_softplus(double x) {
  return (x > 0.0 ? x : x == x ? 0.0 : x) + kw_log1p(kw_exp(-kw_abs(x)));
}

#endif

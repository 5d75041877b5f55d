// SPDX-License-Identifier: Apache-2.0
// Scalar helpers without a branch, so that a loop over them becomes vector code. Included by
// kw_math.h.
#ifndef KW_BASIC_H
#define KW_BASIC_H

#include <stdint.h>

#define KW_INLINE static inline __attribute__((always_inline))

KW_INLINE uint32_t kw_bits(float x) {
  return __builtin_bit_cast(uint32_t, x);
}
KW_INLINE uint64_t kw_bits(double x) {
  return __builtin_bit_cast(uint64_t, x);
}
KW_INLINE float kw_from_bits(uint32_t x) {
  return __builtin_bit_cast(float, x);
}
KW_INLINE double kw_from_bits(uint64_t x) {
  return __builtin_bit_cast(double, x);
}

KW_INLINE bool kw_isnan(float x) {
  return x != x;
}
KW_INLINE bool kw_isnan(double x) {
  return x != x;
}

KW_INLINE float kw_abs(float x) {
  return __builtin_fabsf(x);
}
KW_INLINE double kw_abs(double x) {
  return __builtin_fabs(x);
}
KW_INLINE int64_t kw_abs(int64_t x) {
  return x < 0 ? -x : x;
}
KW_INLINE int32_t kw_abs(int32_t x) {
  return x < 0 ? -x : x;
}

KW_INLINE float kw_sqrt(float x) {
  return __builtin_sqrtf(x);
}
KW_INLINE double kw_sqrt(double x) {
  return __builtin_sqrt(x);
}
KW_INLINE float kw_rsqrt(float x) {
  return 1.0f / __builtin_sqrtf(x);
}
KW_INLINE double kw_rsqrt(double x) {
  return 1.0 / __builtin_sqrt(x);
}

KW_INLINE float kw_floor(float x) {
  return __builtin_floorf(x);
}
KW_INLINE double kw_floor(double x) {
  return __builtin_floor(x);
}
KW_INLINE float kw_ceil(float x) {
  return __builtin_ceilf(x);
}
KW_INLINE double kw_ceil(double x) {
  return __builtin_ceil(x);
}
KW_INLINE float kw_trunc(float x) {
  return __builtin_truncf(x);
}
KW_INLINE double kw_trunc(double x) {
  return __builtin_trunc(x);
}
// Half to even.
KW_INLINE float kw_round(float x) {
  return __builtin_rintf(x);
}
KW_INLINE double kw_round(double x) {
  return __builtin_rint(x);
}

// NaN if either is NaN.
KW_INLINE float kw_max(float a, float b) {
  const float m = a > b ? a : b;
  return a != a ? a : m;
}
KW_INLINE double kw_max(double a, double b) {
  const double m = a > b ? a : b;
  return a != a ? a : m;
}
KW_INLINE float kw_min(float a, float b) {
  const float m = a < b ? a : b;
  return a != a ? a : m;
}
KW_INLINE double kw_min(double a, double b) {
  const double m = a < b ? a : b;
  return a != a ? a : m;
}
KW_INLINE int64_t kw_max(int64_t a, int64_t b) {
  return a > b ? a : b;
}
KW_INLINE int64_t kw_min(int64_t a, int64_t b) {
  return a < b ? a : b;
}
KW_INLINE int32_t kw_max(int32_t a, int32_t b) {
  return a > b ? a : b;
}
KW_INLINE int32_t kw_min(int32_t a, int32_t b) {
  return a < b ? a : b;
}

// Remainders: kw_fmod has the sign of a, kw_mod that of b (as Python's %).
KW_INLINE float kw_fmod(float a, float b) {
  return __builtin_fmodf(a, b);
}
KW_INLINE double kw_fmod(double a, double b) {
  return __builtin_fmod(a, b);
}
KW_INLINE int64_t kw_fmod(int64_t a, int64_t b) {
  return a % b;
}
KW_INLINE int32_t kw_fmod(int32_t a, int32_t b) {
  return a % b;
}
KW_INLINE float kw_mod(float a, float b) {
  const float m = __builtin_fmodf(a, b);
  return m != 0.0f && (b < 0.0f) != (m < 0.0f) ? m + b : m;
}
KW_INLINE double kw_mod(double a, double b) {
  const double m = __builtin_fmod(a, b);
  return m != 0.0 && (b < 0.0) != (m < 0.0) ? m + b : m;
}
KW_INLINE int64_t kw_mod(int64_t a, int64_t b) {
  const int64_t m = a % b;
  return m != 0 && (b < 0) != (m < 0) ? m + b : m;
}
KW_INLINE int32_t kw_mod(int32_t a, int32_t b) {
  const int32_t m = a % b;
  return m != 0 && (b < 0) != (m < 0) ? m + b : m;
}

// floor(a / b). For floats by way of the exact remainder, as PyTorch does.
KW_INLINE float kw_floordiv(float a, float b) {
  const float m = __builtin_fmodf(a, b);
  float q = (a - m) / b;
  q = m != 0.0f && (b < 0.0f) != (m < 0.0f) ? q - 1.0f : q;
  float f = __builtin_floorf(q);
  f = q - f > 0.5f ? f + 1.0f : f;
  f = q != 0.0f ? f : __builtin_copysignf(0.0f, a / b);
  return b == 0.0f ? a / b : f;
}
KW_INLINE double kw_floordiv(double a, double b) {
  const double m = __builtin_fmod(a, b);
  double q = (a - m) / b;
  q = m != 0.0 && (b < 0.0) != (m < 0.0) ? q - 1.0 : q;
  double f = __builtin_floor(q);
  f = q - f > 0.5 ? f + 1.0 : f;
  f = q != 0.0 ? f : __builtin_copysign(0.0, a / b);
  return b == 0.0 ? a / b : f;
}
KW_INLINE int64_t kw_floordiv(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return q - ((a % b != 0) & ((a < 0) != (b < 0)));
}
KW_INLINE int32_t kw_floordiv(int32_t a, int32_t b) {
  const int32_t q = a / b;
  return q - ((a % b != 0) & ((a < 0) != (b < 0)));
}

// The squares of n values about `about`, from the sums of their distances from `centre` and of the
// squares of these.
KW_INLINE double kw_squares_about(double about, double n, double centre, double sum,
                                  double squares) {
  const double own = squares - sum / n * sum, off = centre + sum / n - about;
  return (own < 0 ? 0 : own) + n * off * off;
}

#endif

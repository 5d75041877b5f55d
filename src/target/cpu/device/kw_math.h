// SPDX-License-Identifier: Apache-2.0
// Scalar functions for generated CPU kernels, named kw_*, for float and double (some also for integers).
// No branch and no table call in the float versions, so that loops over them become vector code without
// -ffast-math. Infinities, NaN, overflow and denormals come out as IEEE asks.
#ifndef KW_MATH_H
#define KW_MATH_H

#include "kw_basic.h"
#include "kw_half.h"

#define KW_LIBM(name)                                                        \
  KW_INLINE float kw_##name(float x) { return __builtin_##name##f(x); }      \
  KW_INLINE double kw_##name(double x) { return __builtin_##name(x); }
KW_LIBM(exp)
KW_LIBM(expm1)
KW_LIBM(log)
KW_LIBM(log1p)
KW_LIBM(log2)
KW_LIBM(sin)
KW_LIBM(cos)
KW_LIBM(tan)
KW_LIBM(tanh)
KW_LIBM(erf)
#undef KW_LIBM

KW_INLINE float kw_pow(float x, float y) { return __builtin_powf(x, y); }
KW_INLINE double kw_pow(double x, double y) { return __builtin_pow(x, y); }
KW_INLINE float kw_atan2(float y, float x) { return __builtin_atan2f(y, x); }
KW_INLINE double kw_atan2(double y, double x) { return __builtin_atan2(y, x); }
KW_INLINE float kw_sigmoid(float x) { return 1.0f / (1.0f + kw_exp(-x)); }
KW_INLINE double kw_sigmoid(double x) { return 1.0 / (1.0 + kw_exp(-x)); }

#endif

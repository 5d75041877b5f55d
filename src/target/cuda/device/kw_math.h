// SPDX-License-Identifier: Apache-2.0
// Scalar functions for float and double (some also for integers), named as the CPU's. They stand on
// CUDA's own device functions, which keep denormals, infinities and NaN; float results are within 4
// ulp, most within 2, activations within 6 but for the far negative tail of gelu. No fast-math flag
// is ever allowed. tests/unit/cuda_device_test.cpp holds them to it where there is a GPU.
#ifndef KW_MATH_H
#define KW_MATH_H

#include "kw_trig.h"
#include "kw_types.h"

#define KW_MATH_1(name, of_float, of_double) \
  KW_DEVICE float kw_##name(float x) {       \
    return of_float(x);                      \
  }                                          \
  KW_DEVICE double kw_##name(double x) {     \
    return of_double(x);                     \
  }
KW_MATH_1(sqrt, sqrtf, sqrt)
KW_MATH_1(rsqrt, rsqrtf, rsqrt)
KW_MATH_1(floor, floorf, floor)
KW_MATH_1(ceil, ceilf, ceil)
KW_MATH_1(trunc, truncf, trunc)
KW_MATH_1(round, rintf, rint)  // half to even
KW_MATH_1(exp, expf, exp)
KW_MATH_1(exp2, exp2f, exp2)
KW_MATH_1(expm1, expm1f, expm1)
KW_MATH_1(log, logf, log)
KW_MATH_1(log1p, log1pf, log1p)
KW_MATH_1(log2, log2f, log2)
KW_MATH_1(log10, log10f, log10)
KW_MATH_1(asin, asinf, asin)
KW_MATH_1(acos, acosf, acos)
KW_MATH_1(atan, atanf, atan)
KW_MATH_1(sinh, sinhf, sinh)
KW_MATH_1(cosh, coshf, cosh)
KW_MATH_1(tanh, tanhf, tanh)
KW_MATH_1(asinh, asinhf, asinh)
KW_MATH_1(acosh, acoshf, acosh)
KW_MATH_1(atanh, atanhf, atanh)
KW_MATH_1(erf, erff, erf)
KW_MATH_1(erfc, erfcf, erfc)
#undef KW_MATH_1

#define KW_MATH_2(name, of_float, of_double)       \
  KW_DEVICE float kw_##name(float a, float b) {    \
    return of_float(a, b);                         \
  }                                                \
  KW_DEVICE double kw_##name(double a, double b) { \
    return of_double(a, b);                        \
  }
KW_MATH_2(pow, powf, pow)
KW_MATH_2(atan2, atan2f, atan2)
KW_MATH_2(fmod, fmodf, fmod)  // the sign of a
KW_MATH_2(copysign, copysignf, copysign)
KW_MATH_2(hypot, hypotf, hypot)
#undef KW_MATH_2

KW_DEVICE float kw_fma(float a, float b, float c) {
  return fmaf(a, b, c);
}
KW_DEVICE double kw_fma(double a, double b, double c) {
  return fma(a, b, c);
}

KW_DEVICE bool kw_isnan(float x) {
  return x != x;
}
KW_DEVICE bool kw_isnan(double x) {
  return x != x;
}
KW_DEVICE float kw_abs(float x) {
  return fabsf(x);
}
KW_DEVICE double kw_abs(double x) {
  return fabs(x);
}
KW_DEVICE int64_t kw_abs(int64_t x) {
  return x < 0 ? -x : x;
}
KW_DEVICE int32_t kw_abs(int32_t x) {
  return x < 0 ? -x : x;
}

// Their reduction of large arguments has a table in writable memory: a program with f64
// trigonometry does not pass the screen.
KW_DEVICE double kw_sin(double x) {
  return sin(x);
}
KW_DEVICE double kw_cos(double x) {
  return cos(x);
}
KW_DEVICE double kw_tan(double x) {
  return tan(x);
}

// NaN if either is NaN, unlike fmaxf and fminf.
KW_DEVICE float kw_max(float a, float b) {
#if __CUDA_ARCH__ >= 800
  float out;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(out) : "f"(a), "f"(b));
  return out;
#else
  const float m = a > b ? a : b;
  return a != a ? a : m;
#endif
}
KW_DEVICE float kw_min(float a, float b) {
#if __CUDA_ARCH__ >= 800
  float out;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(out) : "f"(a), "f"(b));
  return out;
#else
  const float m = a < b ? a : b;
  return a != a ? a : m;
#endif
}
KW_DEVICE double kw_max(double a, double b) {
  const double m = a > b ? a : b;
  return a != a ? a : m;
}
KW_DEVICE double kw_min(double a, double b) {
  const double m = a < b ? a : b;
  return a != a ? a : m;
}

// kw_mod has the sign of b (as Python's %), kw_floordiv is floor(a / b) by the exact remainder.
KW_DEVICE float kw_mod(float a, float b) {
  const float m = fmodf(a, b);
  return m != 0.0f && (b < 0.0f) != (m < 0.0f) ? m + b : m;
}
KW_DEVICE double kw_mod(double a, double b) {
  const double m = fmod(a, b);
  return m != 0.0 && (b < 0.0) != (m < 0.0) ? m + b : m;
}
KW_DEVICE float kw_floordiv(float a, float b) {
  if (b == 0.0f) return a / b;
  const float m = fmodf(a, b);
  float q = (a - m) / b;
  if (m != 0.0f && (b < 0.0f) != (m < 0.0f)) q -= 1.0f;
  if (q == 0.0f) return copysignf(0.0f, a / b);
  const float f = floorf(q);
  return q - f > 0.5f ? f + 1.0f : f;
}
KW_DEVICE double kw_floordiv(double a, double b) {
  if (b == 0.0) return a / b;
  const double m = fmod(a, b);
  double q = (a - m) / b;
  if (m != 0.0 && (b < 0.0) != (m < 0.0)) q -= 1.0;
  if (q == 0.0) return copysign(0.0, a / b);
  const double f = floor(q);
  return q - f > 0.5 ? f + 1.0 : f;
}
#define KW_MATH_INTEGER(T)                            \
  KW_DEVICE T kw_max(T a, T b) {                      \
    return a > b ? a : b;                             \
  }                                                   \
  KW_DEVICE T kw_min(T a, T b) {                      \
    return a < b ? a : b;                             \
  }                                                   \
  KW_DEVICE T kw_fmod(T a, T b) {                     \
    return a % b;                                     \
  }                                                   \
  KW_DEVICE T kw_mod(T a, T b) {                      \
    const T m = a % b;                                \
    return m != 0 && (b < 0) != (m < 0) ? m + b : m;  \
  }                                                   \
  KW_DEVICE T kw_floordiv(T a, T b) {                 \
    const T q = a / b;                                \
    return q - ((a % b != 0) & ((a < 0) != (b < 0))); \
  }
KW_MATH_INTEGER(int32_t)
KW_MATH_INTEGER(int64_t)
#undef KW_MATH_INTEGER

// Activations. They agree with PyTorch's definitions and with IEEE at the ends of the range.
KW_DEVICE float kw_sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}
KW_DEVICE double kw_sigmoid(double x) {
  return 1.0 / (1.0 + exp(-x));
}
// relu keeps NaN.
KW_DEVICE float kw_relu(float x) {
  return kw_max(x, 0.0f);
}
KW_DEVICE double kw_relu(double x) {
  return kw_max(x, 0.0);
}
KW_DEVICE float kw_silu(float x) {
  return x / (1.0f + expf(-x));
}
KW_DEVICE double kw_silu(double x) {
  return x / (1.0 + exp(-x));
}
// erfc keeps the relative accuracy of the negative tail.
KW_DEVICE float kw_gelu(float x) {
  return 0.5f * x * erfcf(-0.70710678118654752f * x);
}
KW_DEVICE double kw_gelu(double x) {
  return 0.5 * x * erfc(-0.70710678118654752440 * x);
}
KW_DEVICE float kw_gelu_tanh(float x) {
  const float inner = 0.7978845608028654f * (x + 0.044715f * x * x * x);
  return 0.5f * x * (1.0f + tanhf(inner));
}
KW_DEVICE double kw_gelu_tanh(double x) {
  const double inner = 0.79788456080286535588 * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1.0 + tanh(inner));
}
KW_DEVICE float kw_softplus(float x) {
  return kw_max(x, 0.0f) + log1pf(expf(-fabsf(x)));
}
KW_DEVICE double kw_softplus(double x) {
  return kw_max(x, 0.0) + log1p(exp(-fabs(x)));
}
KW_DEVICE float kw_mish(float x) {
  return x * tanhf(kw_softplus(x));
}
KW_DEVICE float kw_elu(float x, float alpha) {
  return x > 0.0f ? x : alpha * expm1f(x);
}

#endif

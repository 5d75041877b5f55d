// SPDX-License-Identifier: Apache-2.0
// Integers of fixed size, 16-bit floats as storage types, conversions. Conversions round half to
// even, keep denormals, infinities and NaN.
#ifndef KW_TYPES_H
#define KW_TYPES_H

// NVRTC has no headers; with nvcc these repeat what the C library says.
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long uint64_t;

#define KW_DEVICE static __device__ __forceinline__

struct kw_f16 {
  uint16_t bits;
};
struct kw_bf16 {
  uint16_t bits;
};
// Two 16-bit floats in a register; the first in the low half.
struct alignas(4) kw_f16x2 {
  kw_f16 lo, hi;
};
struct alignas(4) kw_bf16x2 {
  kw_bf16 lo, hi;
};

KW_DEVICE uint32_t kw_bits(float x) {
  return __float_as_uint(x);
}
KW_DEVICE uint64_t kw_bits(double x) {
  return (uint64_t)__double_as_longlong(x);
}
KW_DEVICE uint32_t kw_bits(kw_f16x2 x) {
  return (uint32_t)x.lo.bits | (uint32_t)x.hi.bits << 16;
}
KW_DEVICE uint32_t kw_bits(kw_bf16x2 x) {
  return (uint32_t)x.lo.bits | (uint32_t)x.hi.bits << 16;
}
KW_DEVICE float kw_from_bits(uint32_t x) {
  return __uint_as_float(x);
}
KW_DEVICE double kw_from_bits(uint64_t x) {
  return __longlong_as_double((long long)x);
}

KW_DEVICE float kw_f16_to_f32(kw_f16 h) {
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(h.bits));
  return out;
}
KW_DEVICE kw_f16 kw_f32_to_f16(float x) {
  kw_f16 out;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out.bits) : "f"(x));
  return out;
}
KW_DEVICE float kw_bf16_to_f32(kw_bf16 h) {
  return __uint_as_float((uint32_t)h.bits << 16);
}
KW_DEVICE kw_bf16 kw_f32_to_bf16(float x) {
#if __CUDA_ARCH__ >= 800
  kw_bf16 out;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(x));
  return out;
#else
  const uint32_t u = __float_as_uint(x);
  const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const uint32_t quiet = (u >> 16) | 0x40u;
  return {(uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded)};
#endif
}

// Two at once, in one instruction where there is one.
KW_DEVICE kw_f16x2 kw_f32_to_f16x2(float lo, float hi) {
#if __CUDA_ARCH__ >= 800
  uint32_t out;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(hi), "f"(lo));
  return {{(uint16_t)out}, {(uint16_t)(out >> 16)}};
#else
  return {kw_f32_to_f16(lo), kw_f32_to_f16(hi)};
#endif
}
KW_DEVICE kw_bf16x2 kw_f32_to_bf16x2(float lo, float hi) {
#if __CUDA_ARCH__ >= 800
  uint32_t out;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(hi), "f"(lo));
  return {{(uint16_t)out}, {(uint16_t)(out >> 16)}};
#else
  return {kw_f32_to_bf16(lo), kw_f32_to_bf16(hi)};
#endif
}

// To TF32 (10 bits of mantissa, the rest zero), half away from zero. What tensor cores do to an
// fp32 operand that was not rounded is cut it off.
KW_DEVICE float kw_f32_to_tf32(float x) {
#if __CUDA_ARCH__ >= 800
  uint32_t out;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(out) : "f"(x));
  return __uint_as_float(out);
#else
  return __uint_as_float((__float_as_uint(x) + 0x1000u) & 0xffffe000u);
#endif
}

// Any stored type to and from float (double for f64, integers and bool go through the language).
template <class T>
KW_DEVICE float kw_to_f32(T x) {
  return (float)x;
}
template <>
__device__ __forceinline__ float kw_to_f32<kw_f16>(kw_f16 x) {
  return kw_f16_to_f32(x);
}
template <>
__device__ __forceinline__ float kw_to_f32<kw_bf16>(kw_bf16 x) {
  return kw_bf16_to_f32(x);
}
template <class T>
KW_DEVICE T kw_from_f32(float x) {
  return (T)x;
}
template <>
__device__ __forceinline__ kw_f16 kw_from_f32<kw_f16>(float x) {
  return kw_f32_to_f16(x);
}
template <>
__device__ __forceinline__ kw_bf16 kw_from_f32<kw_bf16>(float x) {
  return kw_f32_to_bf16(x);
}

KW_DEVICE int64_t kw_ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
KW_DEVICE int32_t kw_ceil_div(int32_t a, int32_t b) {
  return (a + b - 1) / b;
}

#endif

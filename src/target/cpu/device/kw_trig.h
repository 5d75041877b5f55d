// SPDX-License-Identifier: Apache-2.0
// sin, cos, tan for every float. Included by kw_math.h, which states their errors.
#ifndef KW_TRIG_H
#define KW_TRIG_H

#include "kw_basic.h"

// 2/pi * 2^(e-150) mod 4 for the exponents e = 126..254 of a float, in three parts of 27, 29 and 29
// bits after the point, so that their products with a 24-bit significand are exact (the method is
// Payne and Hanek's).
static const double kw_two_over_pi_high[129] = {
    0x1.4p-25,      0x1.4p-24,      0x1.4p-23,      0x1.48p-22,     0x1.44p-21,     0x1.46p-20,
    0x1.46p-19,     0x1.46p-18,     0x1.46p-17,     0x1.46p-16,     0x1.45fp-15,    0x1.45fp-14,
    0x1.45f4p-13,   0x1.45f4p-12,   0x1.45f3p-11,   0x1.45f3p-10,   0x1.45f3p-9,    0x1.45f3p-8,
    0x1.45f3p-7,    0x1.45f308p-6,  0x1.45f308p-5,  0x1.45f306p-4,  0x1.45f307p-3,  0x1.45f307p-2,
    0x1.45f306cp-1, 0x1.45f306ep+0, 0x1.45f306ep+1, 0x1.17cc1b8p+0, 0x1.17cc1b7p+1, 0x1.7cc1b7p-2,
    0x1.7cc1b74p-1, 0x1.7cc1b72p+0, 0x1.7cc1b72p+1, 0x1.f306dcap+0, 0x1.f306dcap+1, 0x1.e60db94p+1,
    0x1.cc1b727p+1, 0x1.9836e4ep+1, 0x1.306dc9dp+1, 0x1.836e4e4p-1, 0x1.836e4e4p+0, 0x1.836e4e4p+1,
    0x1.06dc9c9p+1, 0x1.b72722p-4,  0x1.b72722p-3,  0x1.b72722p-2,  0x1.b72722p-1,  0x1.b72722p+0,
    0x1.b727221p+1, 0x1.6e4e441p+1, 0x1.b939106p+0, 0x1.b939105p+1, 0x1.727220bp+1, 0x1.c9c882ap+0,
    0x1.c9c882ap+1, 0x1.9391055p+1, 0x1.27220a9p+1, 0x1.391054cp-1, 0x1.391054ap+0, 0x1.391054ap+1,
    0x1.c882a54p-1, 0x1.c882a54p+0, 0x1.c882a54p+1, 0x1.91054a8p+1, 0x1.220a95p+1,  0x1.1054a8p-1,
    0x1.1054a8p+0,  0x1.1054a7fp+1, 0x1.054a7fp-2,  0x1.054a7fp-1,  0x1.054a7fp+0,  0x1.054a7f1p+1,
    0x1.529fc2p-4,  0x1.529fc2p-3,  0x1.529fc28p-2, 0x1.529fc28p-1, 0x1.529fc28p+0, 0x1.529fc27p+1,
    0x1.4a7f09ep+0, 0x1.4a7f09dp+1, 0x1.29fc276p+0, 0x1.29fc275p+1, 0x1.4fe13acp-1, 0x1.4fe13acp+0,
    0x1.4fe13acp+1, 0x1.3f84ebp+0,  0x1.3f84ebp+1,  0x1.fc2757cp-1, 0x1.fc2757ep+0, 0x1.fc2757dp+1,
    0x1.f84eafap+1, 0x1.f09d5f4p+1, 0x1.e13abe9p+1, 0x1.c2757d2p+1, 0x1.84eafa4p+1, 0x1.09d5f48p+1,
    0x1.3abe9p-3,   0x1.3abe8f8p-2, 0x1.3abe8fcp-1, 0x1.3abe8fap+0, 0x1.3abe8fbp+1, 0x1.d5f47d4p-1,
    0x1.d5f47d4p+0, 0x1.d5f47d5p+1, 0x1.abe8faap+1, 0x1.57d1f53p+1, 0x1.5f47d4ep+0, 0x1.5f47d4dp+1,
    0x1.7d1f534p+0, 0x1.7d1f535p+1, 0x1.f47d4d4p+0, 0x1.f47d4d3p+1, 0x1.e8fa9a7p+1, 0x1.d1f534ep+1,
    0x1.a3ea69cp+1, 0x1.47d4d37p+1, 0x1.1f534dep+0, 0x1.1f534dep+1, 0x1.f534dep-2,  0x1.f534ddcp-1,
    0x1.f534ddcp+0, 0x1.f534ddcp+1, 0x1.ea69bb8p+1, 0x1.d4d377p+1,  0x1.a9a6eep+1,  0x1.534ddc1p+1,
    0x1.4d37704p+0, 0x1.4d37703p+1, 0x1.34ddc0ep+0,
};
static const double kw_two_over_pi_middle[129] = {
    0x1.7cc1b7p-31,   0x1.7cc1b74p-30,  0x1.7cc1b72p-29,  -0x1.067c91cp-29, 0x1.f306dcap-29,
    -0x1.9f246cp-33,  -0x1.9f246cp-32,  -0x1.9f246c8p-31, -0x1.9f246c8p-30, -0x1.9f246c6p-29,
    0x1.836e4e4p-30,  0x1.836e4e4p-29,  -0x1.f246c7p-30,  -0x1.f246c6ep-29, 0x1.b72722p-33,
    0x1.b72722p-32,   0x1.b72722p-31,   0x1.b72722p-30,   0x1.b72722p-29,   -0x1.236377cp-30,
    -0x1.236377ep-29, 0x1.b939106p-29,  -0x1.1b1bbecp-30, -0x1.1b1bbeap-29, 0x1.c9c882ap-29,
    -0x1.b1bbebp-31,  -0x1.b1bbeacp-30, -0x1.b1bbeaep-29, 0x1.391054cp-30,  0x1.391054ap-29,
    -0x1.8ddf56cp-29, 0x1.c882a54p-30,  0x1.c882a54p-29,  -0x1.bbead6p-31,  -0x1.bbead6p-30,
    -0x1.bbead6p-29,  0x1.1054a8p-30,   0x1.1054a8p-29,   -0x1.df56b02p-29, 0x1.054a7fp-31,
    0x1.054a7fp-30,   0x1.054a7fp-29,   -0x1.f56b01ep-29, 0x1.529fc2p-33,   0x1.529fc2p-32,
    0x1.529fc28p-31,  0x1.529fc28p-30,  0x1.529fc28p-29,  -0x1.5ac07b2p-29, 0x1.4a7f09ep-29,
    -0x1.6b01ec6p-29, 0x1.29fc276p-29,  -0x1.ac07b16p-29, 0x1.4fe13acp-30,  0x1.4fe13acp-29,
    -0x1.603d8a8p-29, 0x1.3f84ebp-29,   -0x1.80f62ap-29,  0x1.fc2757cp-30,  0x1.fc2757ep-29,
    -0x1.ec5418p-35,  -0x1.ec5418p-34,  -0x1.ec5418p-33,  -0x1.ec5417p-32,  -0x1.ec5417p-31,
    -0x1.ec5417p-30,  -0x1.ec5417p-29,  0x1.3abe9p-32,    0x1.3abe8f8p-31,  0x1.3abe8fcp-30,
    0x1.3abe8fap-29,  -0x1.8a82e0ap-29, 0x1.d5f47d4p-30,  0x1.d5f47d4p-29,  -0x1.505c158p-31,
    -0x1.505c158p-30, -0x1.505c15ap-29, 0x1.5f47d4ep-29,  -0x1.4170566p-29, 0x1.7d1f534p-29,
    -0x1.05c1596p-29, 0x1.f47d4d4p-29,  -0x1.70565ap-33,  -0x1.705659p-32,  -0x1.705659p-31,
    -0x1.705659p-30,  -0x1.7056592p-29, 0x1.1f534dep-29,  -0x1.c159644p-29, 0x1.f534dep-31,
    0x1.f534ddcp-30,  0x1.f534ddcp-29,  -0x1.596448p-33,  -0x1.596448p-32,  -0x1.596448p-31,
    -0x1.596448p-30,  -0x1.596447ep-29, 0x1.4d37704p-29,  -0x1.65911fap-29, 0x1.34ddc0ep-29,
    -0x1.96447e4p-29, 0x1.a6ee06cp-30,  0x1.a6ee06ep-29,  -0x1.6447e48p-30, -0x1.6447e4ap-29,
    0x1.377036ep-29,  -0x1.911f924p-29, 0x1.bb81b6cp-30,  0x1.bb81b6cp-29,  -0x1.11f925p-30,
    -0x1.11f924ep-29, 0x1.dc0db62p-29,  -0x1.1f924e8p-31, -0x1.1f924ecp-30, -0x1.1f924ecp-29,
    0x1.c0db62ap-29,  -0x1.f924eb8p-31, -0x1.f924eb4p-30, -0x1.f924eb6p-29, 0x1.b6c52cp-34,
    0x1.b6c52cp-33,   0x1.b6c52bp-32,   0x1.b6c52bp-31,   0x1.b6c52b4p-30,  0x1.b6c52b4p-29,
    -0x1.24eb534p-30, -0x1.24eb534p-29, 0x1.b62959ap-29,  -0x1.275a99cp-30,
};
static const double kw_two_over_pi_low[129] = {
    0x1.391054ap-58,  -0x1.8ddf56cp-58, 0x1.c882a54p-59,  0x1.c882a54p-58,  -0x1.bbead6p-60,
    -0x1.bbead6p-59,  -0x1.bbead6p-58,  0x1.1054a8p-59,   0x1.1054a8p-58,   -0x1.df56b02p-58,
    0x1.054a7fp-60,   0x1.054a7fp-59,   0x1.054a7fp-58,   -0x1.f56b01ep-58, 0x1.529fc2p-62,
    0x1.529fc2p-61,   0x1.529fc28p-60,  0x1.529fc28p-59,  0x1.529fc28p-58,  -0x1.5ac07b2p-58,
    0x1.4a7f09ep-58,  -0x1.6b01ec6p-58, 0x1.29fc276p-58,  -0x1.ac07b16p-58, 0x1.4fe13acp-59,
    0x1.4fe13acp-58,  -0x1.603d8a8p-58, 0x1.3f84ebp-58,   -0x1.80f62ap-58,  0x1.fc2757cp-59,
    0x1.fc2757ep-58,  -0x1.ec5418p-64,  -0x1.ec5418p-63,  -0x1.ec5418p-62,  -0x1.ec5417p-61,
    -0x1.ec5417p-60,  -0x1.ec5417p-59,  -0x1.ec5417p-58,  0x1.3abe9p-61,    0x1.3abe8f8p-60,
    0x1.3abe8fcp-59,  0x1.3abe8fap-58,  -0x1.8a82e0ap-58, 0x1.d5f47d4p-59,  0x1.d5f47d4p-58,
    -0x1.505c158p-60, -0x1.505c158p-59, -0x1.505c15ap-58, 0x1.5f47d4ep-58,  -0x1.4170566p-58,
    0x1.7d1f534p-58,  -0x1.05c1596p-58, 0x1.f47d4d4p-58,  -0x1.70565ap-62,  -0x1.705659p-61,
    -0x1.705659p-60,  -0x1.705659p-59,  -0x1.7056592p-58, 0x1.1f534dep-58,  -0x1.c159644p-58,
    0x1.f534dep-60,   0x1.f534ddcp-59,  0x1.f534ddcp-58,  -0x1.596448p-62,  -0x1.596448p-61,
    -0x1.596448p-60,  -0x1.596448p-59,  -0x1.596447ep-58, 0x1.4d37704p-58,  -0x1.65911fap-58,
    0x1.34ddc0ep-58,  -0x1.96447e4p-58, 0x1.a6ee06cp-59,  0x1.a6ee06ep-58,  -0x1.6447e48p-59,
    -0x1.6447e4ap-58, 0x1.377036ep-58,  -0x1.911f924p-58, 0x1.bb81b6cp-59,  0x1.bb81b6cp-58,
    -0x1.11f925p-59,  -0x1.11f924ep-58, 0x1.dc0db62p-58,  -0x1.1f924e8p-60, -0x1.1f924ecp-59,
    -0x1.1f924ecp-58, 0x1.c0db62ap-58,  -0x1.f924eb8p-60, -0x1.f924eb4p-59, -0x1.f924eb6p-58,
    0x1.b6c52cp-63,   0x1.b6c52cp-62,   0x1.b6c52bp-61,   0x1.b6c52bp-60,   0x1.b6c52b4p-59,
    0x1.b6c52b4p-58,  -0x1.24eb534p-59, -0x1.24eb534p-58, 0x1.b62959ap-58,  -0x1.275a99cp-59,
    -0x1.275a99cp-58, 0x1.b14accap-58,  -0x1.3ad4cd8p-59, -0x1.3ad4cd8p-58, 0x1.8a5665p-58,
    -0x1.d6a66c4p-59, -0x1.d6a66c4p-58, 0x1.4acc9ep-60,   0x1.4acc9e4p-59,  0x1.4acc9e2p-58,
    -0x1.6a66c3cp-58, 0x1.2b32788p-58,  -0x1.a99b0fp-58,  0x1.5993c44p-59,  0x1.5993c44p-58,
    -0x1.4cd8778p-58, 0x1.664f10ep-58,  -0x1.3361de4p-58, 0x1.993c43ap-58,  -0x1.9b0ef1cp-59,
    -0x1.9b0ef1cp-58, 0x1.93c439p-59,   0x1.93c439p-58,   -0x1.b0ef1cp-59,  -0x1.b0ef1bep-58,
    0x1.3c43904p-59,  0x1.3c43904p-58,  -0x1.8778df8p-58, 0x1.e21c82p-59,
};

// x = n pi/2 + r with |r| <= 0.89; gives r.
KW_INLINE float kw_trig_reduced(float x, int32_t* n) {
  const float a = __builtin_fabsf(x);
  const uint32_t u = kw_bits(a);
  int32_t row = (int32_t)(u >> 23) - 126;
  row = row < 0 ? 0 : row;
  row = row > 128 ? 128 : row;
  const double m = (double)(int32_t)((u & 0x7fffffu) | 0x800000u);
  const double v = m * kw_two_over_pi_high[row];
  const double k = __builtin_rint(v);
  const double f = ((v - k) + m * kw_two_over_pi_middle[row]) + m * kw_two_over_pi_low[row];
  const bool small = a < 0x1.921fb4p-1f;
  *n = small ? 0 : (int32_t)k;
  return small ? a : (float)(f * 0x1.921fb54442d18p0);
}

KW_INLINE float kw_sin_reduced(float r) {
  const float z = r * r;
  float p = 0x1.6b8536p-19f;
  p = p * z + -0x1.a00964p-13f;
  p = p * z + 0x1.111100p-7f;
  p = p * z + -0x1.555556p-3f;
  return r + (r * z) * p;
}

KW_INLINE float kw_cos_reduced(float r) {
  const float z = r * r;
  float p = -0x1.232f12p-22f;
  p = p * z + 0x1.a00bcep-16f;
  p = p * z + -0x1.6c16b0p-10f;
  p = p * z + 0x1.555556p-5f;
  return (1.0f - 0.5f * z) + (z * z) * p;
}

KW_INLINE float kw_sin(float x) {
  int32_t n;
  const float r = kw_trig_reduced(x, &n);
  const float s = kw_sin_reduced(r), c = kw_cos_reduced(r);
  const float y = (n & 1) != 0 ? c : s;
  const uint32_t sign = ((uint32_t)(n & 2) << 30) ^ (kw_bits(x) & 0x80000000u);
  const float signed_y = kw_from_bits(kw_bits(y) ^ sign);
  return __builtin_fabsf(x) < __builtin_inff() ? signed_y : x - x;
}

KW_INLINE float kw_cos(float x) {
  int32_t n;
  const float r = kw_trig_reduced(x, &n);
  const float s = kw_sin_reduced(r), c = kw_cos_reduced(r);
  const float y = (n & 1) != 0 ? s : c;
  const uint32_t sign = (uint32_t)((n + 1) & 2) << 30;
  const float signed_y = kw_from_bits(kw_bits(y) ^ sign);
  return __builtin_fabsf(x) < __builtin_inff() ? signed_y : x - x;
}

KW_INLINE float kw_tan(float x) {
  int32_t n;
  const float r = kw_trig_reduced(x, &n);
  const float s = kw_sin_reduced(r), c = kw_cos_reduced(r);
  const bool odd = (n & 1) != 0;
  const float y = (odd ? -c : s) / (odd ? s : c);
  const float signed_y = kw_from_bits(kw_bits(y) ^ (kw_bits(x) & 0x80000000u));
  return __builtin_fabsf(x) < __builtin_inff() ? signed_y : x - x;
}

KW_INLINE double kw_sin(double x) {
  return __builtin_sin(x);
}
KW_INLINE double kw_cos(double x) {
  return __builtin_cos(x);
}
KW_INLINE double kw_tan(double x) {
  return __builtin_tan(x);
}

#endif

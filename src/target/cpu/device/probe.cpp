// SPDX-License-Identifier: Apache-2.0
// Kernels of the machine model's probe, built on the spot by the toolchain that builds candidates.
// Every worker works on its own piece; args: x, y, values {bytes per worker, passes}.
#include "kernelwright/kernel_abi.h"
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef float vf __attribute__((vector_size(VECTOR_BYTES)));
typedef double vd __attribute__((vector_size(VECTOR_BYTES)));

extern "C" void probe_empty(const kw_args*, int64_t, int64_t) {}

extern "C" void probe_vector_bytes(const kw_args* args, int64_t, int64_t) {
  if (args->worker == 0) *(float*)args->buffers[1] = VECTOR_BYTES;
}

extern "C" void probe_read(const kw_args* args, int64_t, int64_t) {
  const int64_t count = args->values[0].i64 / VECTOR_BYTES, passes = args->values[1].i64;
  const vf* x = (const vf*)args->buffers[0] + args->worker * count;
  vf s0 = {}, s1 = {}, s2 = {}, s3 = {}, s4 = {}, s5 = {}, s6 = {}, s7 = {};
  for (int64_t pass = 0; pass < passes; ++pass) {
    // The same reads again, as far as the compiler may know, could give something else.
    asm volatile("" ::: "memory");
    for (int64_t i = 0; i + 8 <= count; i += 8) {
      s0 += x[i], s1 += x[i + 1], s2 += x[i + 2], s3 += x[i + 3];
      s4 += x[i + 4], s5 += x[i + 5], s6 += x[i + 6], s7 += x[i + 7];
    }
  }
  *((vf*)args->buffers[1] + args->worker) = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7));
}

extern "C" void probe_copy(const kw_args* args, int64_t, int64_t) {
  const int64_t count = args->values[0].i64 / VECTOR_BYTES, passes = args->values[1].i64;
  const vf* x = (const vf*)args->buffers[0] + args->worker * count;
  vf* y = (vf*)args->buffers[1] + args->worker * count;
  for (int64_t pass = 0; pass < passes; ++pass) {
    asm volatile("" ::: "memory");
#pragma GCC unroll 4
    for (int64_t i = 0; i < count; ++i) {
      vf v = x[i];
      // Else the loop becomes a call of memcpy.
      asm volatile("" : "+v"(v));
      y[i] = v;
    }
  }
}

// 12 independent multiply-adds hide a latency of 4 to 5 cycles on two units.
template <class V>
static inline __attribute__((always_inline)) void multiply_add(const kw_args* args, double a0) {
  const int64_t passes = args->values[1].i64;
  V s[12], a = {}, b = {};
  a += (decltype(a[0] + 0))a0;
  b += (decltype(b[0] + 0))0.25;
#pragma GCC unroll 12
  for (int k = 0; k < 12; ++k) s[k] = a * (decltype(a[0] + 0))(k + 1);
  // A value that the compiler cannot see through keeps the products from being folded.
  asm volatile("" : "+v"(a), "+v"(b));
  for (int64_t pass = 0; pass < passes; ++pass)
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) s[k] = s[k] * a + b;
  V sum = s[0];
#pragma GCC unroll 12
  for (int k = 1; k < 12; ++k) sum += s[k];
  *((V*)args->buffers[1] + args->worker) = sum;
}

// 1 where pairs of bf16 are multiplied and added in one instruction, else 0.
extern "C" void probe_has_pairs(const kw_args* args, int64_t, int64_t) {
#if defined(__AVX512BF16__)
  if (args->worker == 0) *(float*)args->buffers[1] = 1;
#else
  if (args->worker == 0) *(float*)args->buffers[1] = 0;
#endif
}

// As multiply_add, of pairs: 12 independent sums.
extern "C" void probe_pairs_bf16([[maybe_unused]] const kw_args* args, int64_t, int64_t) {
#if defined(__AVX512BF16__)
  const int64_t passes = args->values[1].i64;
  __m512i a = _mm512_set1_epi32(0x3f003f00), b = _mm512_set1_epi32(0x3e803e80);
  __m512 s[12];
#pragma GCC unroll 12
  for (int k = 0; k < 12; ++k) s[k] = _mm512_set1_ps((float)k);
  asm volatile("" : "+v"(a), "+v"(b));
  for (int64_t pass = 0; pass < passes; ++pass)
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) s[k] = _mm512_dpbf16_ps(s[k], (__m512bh)a, (__m512bh)b);
  __m512 sum = s[0];
#pragma GCC unroll 12
  for (int k = 1; k < 12; ++k) sum += s[k];
  *((vf*)args->buffers[1] + args->worker) = sum;
#endif
}

extern "C" void probe_fma_f32(const kw_args* args, int64_t, int64_t) {
  multiply_add<vf>(args, 0.5);
}
extern "C" void probe_fma_f64(const kw_args* args, int64_t, int64_t) {
  multiply_add<vd>(args, 0.5);
}

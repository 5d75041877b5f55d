// SPDX-License-Identifier: Apache-2.0
// Tensor cores by the warp: loads and stores of fragments, and products D = A B + D that work from
// sm_80 on. With lane = 4 g + t (g = 0..7 the group, t = 0..3):
//
//   D, 16x8 f32: d[0], d[1] at row g, columns 2t, 2t+1; d[2], d[3] the same at row g + 8
//   A, f16/bf16 m16k16: a[0] row g, columns 2t, 2t+1; a[1] row g + 8; a[2], a[3] the same 8 columns
//   on B, f16/bf16 k16n8: b[0] rows 2t, 2t+1 of column g; b[1] 8 rows on A, tf32 m16k8: a[0] (g,
//   t), a[1] (g + 8, t), a[2] (g, t + 4), a[3] (g + 8, t + 4) B, tf32 k8n8: b[0] (t, g), b[1] (t +
//   4, g)
#ifndef KW_MMA_H
#define KW_MMA_H

#include "kw_memory.h"
#include "kw_types.h"

#if __CUDA_ARCH__ >= 750
// Four (two, one) 8x8 matrices of 16-bit elements; lane i gives the address of row i % 8 of matrix
// i / 8. Each row is 16 bytes, aligned. The fragments are those of kw_mma's A and B.
KW_DEVICE void kw_ldmatrix(uint32_t (&x)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(kw_shared(row))
               : "memory");
}
KW_DEVICE void kw_ldmatrix(uint32_t (&x)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(x[0]), "=r"(x[1])
               : "r"(kw_shared(row))
               : "memory");
}
// Each matrix transposed on the way.
KW_DEVICE void kw_ldmatrix_transposed(uint32_t (&x)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(kw_shared(row))
               : "memory");
}
KW_DEVICE void kw_ldmatrix_transposed(uint32_t (&x)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(x[0]), "=r"(x[1])
               : "r"(kw_shared(row))
               : "memory");
}
#endif

#if __CUDA_ARCH__ >= 900
KW_DEVICE void kw_stmatrix(void* row, const uint32_t (&x)[4]) {
  asm volatile(
      "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(kw_shared(row)),
      "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
      : "memory");
}
KW_DEVICE void kw_stmatrix_transposed(void* row, const uint32_t (&x)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                   kw_shared(row)),
               "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
               : "memory");
}
#endif

#if __CUDA_ARCH__ >= 800
#define KW_MMA(name, shape)                                                                  \
  KW_DEVICE void kw_mma_##name(float(&d)[4], const uint32_t(&a)[4], const uint32_t(&b)[2]) { \
    asm volatile("mma.sync.aligned." shape                                                   \
                 " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"          \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                            \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));        \
  }
KW_MMA(f16, "m16n8k16.row.col.f32.f16.f16.f32")
KW_MMA(bf16, "m16n8k16.row.col.f32.bf16.bf16.f32")
KW_MMA(tf32, "m16n8k8.row.col.f32.tf32.tf32.f32")
#if __CUDA_ARCH__ >= 890
KW_MMA(e4m3, "m16n8k32.row.col.f32.e4m3.e4m3.f32")
KW_MMA(e5m2, "m16n8k32.row.col.f32.e5m2.e5m2.f32")
#endif
#undef KW_MMA

// Half accumulators: d[0] is columns 2t, 2t+1 of row g, d[1] of row g + 8.
KW_DEVICE void kw_mma_f16_f16(uint32_t (&d)[2], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3, %4, %5}, {%6, %7}, "
      "{%0, %1};"
      : "+r"(d[0]), "+r"(d[1])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// 16x8 with k = 32 in s8 operands, s32 accumulators.
KW_DEVICE void kw_mma_s8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, "
      "%9}, {%0, %1, %2, %3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// 8x8 with k = 4 in f64: a is (g, t), b is (t, g), d columns 2t, 2t+1 of row g.
KW_DEVICE void kw_mma_f64(double (&d)[2], double a, double b) {
  asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
               : "+d"(d[0]), "+d"(d[1])
               : "d"(a), "d"(b));
}
#endif  // sm_80

#endif

// SPDX-License-Identifier: Apache-2.0
// Warpgroup products (sm_90a): D[64 x N] += A[64 x K] B[K x N], all four warps of a warpgroup
// together. K is 32 bytes of elements: 16 for f16 and bf16, 8 for tf32, 32 for fp8. D is f32 in
// registers: d[4 j + i] of lane 4 g + t of warp w lies at row 16 w + g + 8 (i / 2), column 8 j + 2
// t + i % 2. B comes from shared memory, A from there or from registers (the same rows and columns
// as kw_mma's A, 16 rows a warp).
//
//   kw_wgmma_fence();                                  // registers and shared memory are ready
//   for k: kw_wgmma<kw_bf16_tag, 128>::ss(d, desc_a, desc_b, 1);
//   kw_wgmma_commit(); kw_wgmma_wait<0>();
#ifndef KW_WGMMA_H
#define KW_WGMMA_H

#include "kw_memory.h"
#include "kw_types.h"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Element types of A and B.
struct kw_f16_tag {};
struct kw_bf16_tag {};
struct kw_tf32_tag {};  // fp32 in memory, cut to TF32
struct kw_e4m3_tag {};
struct kw_e5m2_tag {};

KW_DEVICE void kw_wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
KW_DEVICE void kw_wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Until at most N groups are under way.
template <int N>
KW_DEVICE void kw_wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}
// Keeps the compiler from moving accesses to an accumulator over a wait.
template <int N>
KW_DEVICE void kw_wgmma_touch(float (&d)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

// Descriptor of a tile in shared memory. kSwizzle: 0, 32, 64 or 128 bytes, as in the tensor map
// that loaded it. The two offsets are bytes between neighbouring core matrices (8 rows of 16 bytes,
// or of the swizzle's width): for a K-major tile `stride` from one group of 8 rows to the next (8
// times the row's bytes: 1024 with a 128-byte swizzle), and `leading` counts without a swizzle
// only.
template <int kSwizzle>
KW_DEVICE uint64_t kw_wgmma_descriptor(const void* shared, uint32_t leading_bytes,
                                       uint32_t stride_bytes) {
  constexpr uint64_t kLayout = kSwizzle == 128 ? 1 : kSwizzle == 64 ? 2 : kSwizzle == 32 ? 3 : 0;
  return (uint64_t)((kw_shared(shared) & 0x3ffff) >> 4) |
         (uint64_t)((leading_bytes & 0x3ffff) >> 4) << 16 |
         (uint64_t)((stride_bytes & 0x3ffff) >> 4) << 32 | kLayout << 62;
}
// K-major rows of 128 bytes with the 128-byte swizzle: what most kernels use. The next K step is 32
// bytes on: add kw_wgmma_step(32).
KW_DEVICE uint64_t kw_wgmma_descriptor_128(const void* shared) {
  return kw_wgmma_descriptor<128>(shared, 16, 1024);
}
// What to add to a descriptor to move by so many bytes.
__host__ __device__ constexpr uint64_t kw_wgmma_step(uint32_t bytes) {
  return bytes >> 4;
}

// kw_wgmma<type, N>::ss(d, a, b, accumulate) with both operands by descriptor, rs(d, a, b,
// accumulate) with A in registers. accumulate = 0 starts from zero. For f16 and bf16, ss<1, 0> says
// that A is M-major (transposed), ss<0, 1> that B is N-major; rs<1> the latter.
template <class Type, int N>
struct kw_wgmma;

#define KW_D8(i)                                                                              \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define KW_D16(i) KW_D8(i), KW_D8(i + 8)
#define KW_D32(i) KW_D16(i), KW_D16(i + 16)
#define KW_D64(i) KW_D32(i), KW_D32(i + 32)
#define KW_R0                        \
  "%0, %1, %2, %3, %4, %5, %6, %7, " \
  "%8, %9, %10, %11, %12, %13, %14, %15"
#define KW_R1                                \
  "%16, %17, %18, %19, %20, %21, %22, %23, " \
  "%24, %25, %26, %27, %28, %29, %30, %31"
#define KW_R2                                \
  "%32, %33, %34, %35, %36, %37, %38, %39, " \
  "%40, %41, %42, %43, %44, %45, %46, %47"
#define KW_R3                                \
  "%48, %49, %50, %51, %52, %53, %54, %55, " \
  "%56, %57, %58, %59, %60, %61, %62, %63"
#define KW_R4                                \
  "%64, %65, %66, %67, %68, %69, %70, %71, " \
  "%72, %73, %74, %75, %76, %77, %78, %79"
#define KW_R5                                \
  "%80, %81, %82, %83, %84, %85, %86, %87, " \
  "%88, %89, %90, %91, %92, %93, %94, %95"
#define KW_R6                                    \
  "%96, %97, %98, %99, %100, %101, %102, %103, " \
  "%104, %105, %106, %107, %108, %109, %110, %111"
#define KW_R7                                        \
  "%112, %113, %114, %115, %116, %117, %118, %119, " \
  "%120, %121, %122, %123, %124, %125, %126, %127"

// One type and N: `regs` the text of the accumulators, then the numbers of the operands after them.
#define KW_WGMMA_16(tag, type, N, regs, list, a0, a1, a2, a3, a4, a5, a6)                          \
  template <>                                                                                      \
  struct kw_wgmma<tag, N> {                                                                        \
    template <int kTransposeA = 0, int kTransposeB = 0>                                            \
    static __device__ __forceinline__ void ss(float (&d)[N / 2], uint64_t a, uint64_t b,           \
                                              int accumulate) {                                    \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " a2                                          \
                   ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k16.f32." type "." type " {" regs \
                   "}, " a0 ", " a1 ", p, 1, 1, " a3 ", " a4 ";\n}\n"                              \
                   : KW_LIST list                                                                  \
                   : "l"(a), "l"(b), "r"(accumulate), "n"(kTransposeA), "n"(kTransposeB)           \
                   : "memory");                                                                    \
    }                                                                                              \
    template <int kTransposeB = 0>                                                                 \
    static __device__ __forceinline__ void rs(float (&d)[N / 2], const uint32_t (&a)[4],           \
                                              uint64_t b, int accumulate) {                        \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " a5                                          \
                   ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k16.f32." type "." type " {" regs \
                   "}, {" a0 ", " a1 ", " a2 ", " a3 "}, " a4 ", p, 1, 1, " a6 ";\n}\n"            \
                   : KW_LIST list                                                                  \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate),          \
                     "n"(kTransposeB)                                                              \
                   : "memory");                                                                    \
    }                                                                                              \
  };
#define KW_WGMMA_OTHER(tag, k, type, N, regs, list, a0, a1, a2, a3, a4, a5)                       \
  template <>                                                                                     \
  struct kw_wgmma<tag, N> {                                                                       \
    static __device__ __forceinline__ void ss(float (&d)[N / 2], uint64_t a, uint64_t b,          \
                                              int accumulate) {                                   \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " a2                                         \
                   ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N k ".f32." type "." type " {" regs \
                   "}, " a0 ", " a1 ", p, 1, 1;\n}\n"                                             \
                   : KW_LIST list                                                                 \
                   : "l"(a), "l"(b), "r"(accumulate)                                              \
                   : "memory");                                                                   \
    }                                                                                             \
    static __device__ __forceinline__ void rs(float (&d)[N / 2], const uint32_t (&a)[4],          \
                                              uint64_t b, int accumulate) {                       \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " a5                                         \
                   ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N k ".f32." type "." type " {" regs \
                   "}, {" a0 ", " a1 ", " a2 ", " a3 "}, " a4 ", p, 1, 1;\n}\n"                   \
                   : KW_LIST list                                                                 \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate)          \
                   : "memory");                                                                   \
    }                                                                                             \
  };
#define KW_LIST(...) __VA_ARGS__
#define KW_WGMMA_ALL(N, regs, list, a0, a1, a2, a3, a4, a5, a6)                     \
  KW_WGMMA_16(kw_f16_tag, "f16", N, regs, list, a0, a1, a2, a3, a4, a5, a6)         \
  KW_WGMMA_16(kw_bf16_tag, "bf16", N, regs, list, a0, a1, a2, a3, a4, a5, a6)       \
  KW_WGMMA_OTHER(kw_tf32_tag, "k8", "tf32", N, regs, list, a0, a1, a2, a3, a4, a5)  \
  KW_WGMMA_OTHER(kw_e4m3_tag, "k32", "e4m3", N, regs, list, a0, a1, a2, a3, a4, a5) \
  KW_WGMMA_OTHER(kw_e5m2_tag, "k32", "e5m2", N, regs, list, a0, a1, a2, a3, a4, a5)
KW_WGMMA_ALL(8, "%0, %1, %2, %3", ("+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])), "%4", "%5",
             "%6", "%7", "%8", "%9", "%10")
KW_WGMMA_ALL(16, "%0, %1, %2, %3, %4, %5, %6, %7", (KW_D8(0)), "%8", "%9", "%10", "%11", "%12",
             "%13", "%14")
KW_WGMMA_ALL(24, "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11",
             (KW_D8(0), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11])), "%12", "%13", "%14",
             "%15", "%16", "%17", "%18")
KW_WGMMA_ALL(32, KW_R0, (KW_D16(0)), "%16", "%17", "%18", "%19", "%20", "%21", "%22")
KW_WGMMA_ALL(40,
             KW_R0
             ", "
             "%16, %17, %18, %19",
             (KW_D16(0), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19])), "%20", "%21", "%22",
             "%23", "%24", "%25", "%26")
KW_WGMMA_ALL(48,
             KW_R0
             ", "
             "%16, %17, %18, %19, %20, %21, %22, %23",
             (KW_D16(0), KW_D8(16)), "%24", "%25", "%26", "%27", "%28", "%29", "%30")
KW_WGMMA_ALL(64, KW_R0 ", " KW_R1, (KW_D32(0)), "%32", "%33", "%34", "%35", "%36", "%37", "%38")
KW_WGMMA_ALL(80,
             KW_R0 ", " KW_R1
                   ", "
                   "%32, %33, %34, %35, %36, %37, %38, %39",
             (KW_D32(0), KW_D8(32)), "%40", "%41", "%42", "%43", "%44", "%45", "%46")
KW_WGMMA_ALL(96, KW_R0 ", " KW_R1 ", " KW_R2, (KW_D32(0), KW_D16(32)), "%48", "%49", "%50", "%51",
             "%52", "%53", "%54")
KW_WGMMA_ALL(112,
             KW_R0 ", " KW_R1 ", " KW_R2
                   ", "
                   "%48, %49, %50, %51, %52, %53, %54, %55",
             (KW_D32(0), KW_D16(32), KW_D8(48)), "%56", "%57", "%58", "%59", "%60", "%61", "%62")
KW_WGMMA_ALL(128, KW_R0 ", " KW_R1 ", " KW_R2 ", " KW_R3, (KW_D64(0)), "%64", "%65", "%66", "%67",
             "%68", "%69", "%70")
KW_WGMMA_ALL(160, KW_R0 ", " KW_R1 ", " KW_R2 ", " KW_R3 ", " KW_R4, (KW_D64(0), KW_D16(64)), "%80",
             "%81", "%82", "%83", "%84", "%85", "%86")
KW_WGMMA_ALL(192, KW_R0 ", " KW_R1 ", " KW_R2 ", " KW_R3 ", " KW_R4 ", " KW_R5,
             (KW_D64(0), KW_D32(64)), "%96", "%97", "%98", "%99", "%100", "%101", "%102")
KW_WGMMA_ALL(224, KW_R0 ", " KW_R1 ", " KW_R2 ", " KW_R3 ", " KW_R4 ", " KW_R5 ", " KW_R6,
             (KW_D64(0), KW_D32(64), KW_D16(96)), "%112", "%113", "%114", "%115", "%116", "%117",
             "%118")
KW_WGMMA_ALL(256,
             KW_R0 ", " KW_R1 ", " KW_R2 ", " KW_R3 ", " KW_R4 ", " KW_R5 ", " KW_R6 ", " KW_R7,
             (KW_D64(0), KW_D64(64)), "%128", "%129", "%130", "%131", "%132", "%133", "%134")
#undef KW_WGMMA_ALL
#undef KW_WGMMA_OTHER
#undef KW_WGMMA_16
#undef KW_LIST
#undef KW_R0
#undef KW_R1
#undef KW_R2
#undef KW_R3
#undef KW_R4
#undef KW_R5
#undef KW_R6
#undef KW_R7
#undef KW_D64
#undef KW_D32
#undef KW_D16
#undef KW_D8

#endif  // sm_90a
#endif

// SPDX-License-Identifier: Apache-2.0
// y = silu(x wᵀ + b) + x, f16 with f32 accumulators: a persistent, warp-specialized TMA + wgmma
// kernel. A cluster of 2 blocks shares each tile of w by multicast. Warpgroup 0 loads, warpgroups 1
// and 2 multiply 64 rows each; x also comes back as the residual in the epilogue.
// Params: ROWS, COLS (= DEPTH, as the residual is x), DEPTH, STAGES.

using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

struct alignas(64) TensorMap {
  unsigned char bytes[128];
};

constexpr int kTileM = 128, kTileN = 256, kTileK = 64;
constexpr int kBytesA = kTileM * kTileK * 2, kBytesB = kTileN * kTileK * 2;
constexpr int kStageBytes = kBytesA + kBytesB;
constexpr int kChunk = 64;                      // columns of one epilogue round
constexpr int kStagingBytes = 64 * kChunk * 2;  // of one round of one warpgroup
constexpr int kSteps = DEPTH / kTileK;
constexpr int kSupersM = ROWS / (2 * kTileM), kSupersN = COLS / kTileN;
constexpr int kSupers = kSupersM * kSupersN;  // tiles of a cluster: 256 x 256
constexpr int kGroup = 8;                     // supers in M that follow one another, for L2

static_assert(ROWS % (2 * kTileM * kGroup) == 0 && COLS % kTileN == 0 && DEPTH % kTileK == 0, "");
static_assert(COLS == DEPTH, "the residual is x");

__device__ __forceinline__ u32 shared_address(const void* p) {
  return static_cast<u32>(__cvta_generic_to_shared(p));
}

__device__ __forceinline__ void barrier_init(u32 bar, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count) : "memory");
}

__device__ __forceinline__ void barrier_expect(u32 bar, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes)
               : "memory");
}

// Arrives at the barrier of the same offset in block `rank` of the cluster. What is handed over are
// reads that have ended (the stage may be filled again), so block scope suffices here and in
// barrier_wait; with cluster scope every wait costs so much that loads alone take 0.24 ms, not
// 0.14.
__device__ __forceinline__ void barrier_arrive_at(u32 bar, u32 rank) {
  u32 remote;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(bar), "r"(rank));
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(remote) : "memory");
}

__device__ __forceinline__ void barrier_wait(u32 bar, u32 parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra over;\n"
      "bra again;\n"
      "over:\n"
      "}\n" ::"r"(bar),
      "r"(parity)
      : "memory");
}

__device__ __forceinline__ void load_tile(u32 to, const TensorMap* map, int c0, int c1, u32 bar) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
      "l"(map), "r"(c0), "r"(c1), "r"(bar)
      : "memory");
}

__device__ __forceinline__ void load_tile_multicast(u32 to, const TensorMap* map, int c0, int c1,
                                                    u32 bar, u16 mask) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(map), "r"(c0), "r"(c1), "r"(bar), "h"(mask)
      : "memory");
}

__device__ __forceinline__ void store_tile(const TensorMap* map, int c0, int c1, u32 from) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map),
      "r"(c0), "r"(c1), "r"(from)
      : "memory");
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

// Until the stores issued by this thread have read shared memory.
__device__ __forceinline__ void store_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}

// wgmma descriptor of a K-major tile of 128-byte rows, swizzle 128B: groups of 8 rows lie 1024
// bytes apart. The tile begins at a multiple of 1024; 16 columns further is 32 bytes further.
__device__ __forceinline__ u64 descriptor(u32 address) {
  return static_cast<u64>((address & 0x3FFFF) >> 4) | (u64{1} << 16) | (u64{1024 >> 4} << 32) |
         (u64{1} << 62);
}

#define D8(i)                                                                                 \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define D32(i) D8(i), D8(i + 8), D8(i + 16), D8(i + 24)

// d += a bᵀ (or d = a bᵀ when `keep` is 0): 64 x 256 x 16.
__device__ __forceinline__ void multiply(float (&d)[128], u64 a, u64 b, int keep) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %130, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, "
      "%127}, %128, %129, p, 1, 1, 0, 0;\n"
      "}\n"
      : D32(0), D32(32), D32(64), D32(96)
      : "l"(a), "l"(b), "r"(keep));
}

__device__ __forceinline__ void multiply_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void multiply_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Until at most `kPending` groups are under way. With none left the accumulators pass through, so
// that no use of them moves up.
template <int kPending>
__device__ __forceinline__ void multiply_wait(float (&d)[128]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
  if constexpr (kPending == 0) {
#pragma unroll
    for (int i = 0; i < 128; ++i) asm volatile("" : "+f"(d[i])::"memory");
  }
}

// Of the 128 threads of consumer `who`.
__device__ __forceinline__ void group_barrier(int who) {
  if (who == 0)
    asm volatile("bar.sync 1, 128;" ::: "memory");
  else
    asm volatile("bar.sync 2, 128;" ::: "memory");
}

__device__ __forceinline__ float2 to_float(u32 pair) {
  float2 out;
  asm("{\n.reg .b16 lo, hi;\nmov.b32 {lo, hi}, %2;\ncvt.f32.f16 %0, lo;\ncvt.f32.f16 %1, hi;\n}\n"
      : "=f"(out.x), "=f"(out.y)
      : "r"(pair));
  return out;
}

__device__ __forceinline__ u32 to_half(float low, float high) {
  u32 out;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}

__device__ __forceinline__ float silu(float v) {
  return __fdividef(v, 1.0f + __expf(-v));
}

// First row and column of the tile pair `super`: kGroup supers of one column, then the next column.
__device__ __forceinline__ void place(int super, int& row, int& column) {
  int group = super / (kGroup * kSupersN), inside = super % (kGroup * kSupersN);
  row = (group * kGroup + inside % kGroup) * 2 * kTileM;
  column = (inside / kGroup) * kTileN;
}

extern "C" __global__ void __launch_bounds__(384, 1)
    gemm(const __grid_constant__ TensorMap map_x, const __grid_constant__ TensorMap map_w,
         const __grid_constant__ TensorMap map_residual, const __grid_constant__ TensorMap map_y,
         const u16* bias) {
  extern __shared__ unsigned char raw[];
  u32 base = (shared_address(raw) + 1023) & ~1023u;
  u32 staging = base + STAGES * kStageBytes;   // 2 warpgroups x 2 buffers
  u32 barriers = staging + 4 * kStagingBytes;  // full, empty, residual
  auto full = [&](int stage) { return barriers + 8 * stage; };
  auto empty = [&](int stage) { return barriers + 8 * (STAGES + stage); };
  auto residual = [&](int which) { return barriers + 8 * (2 * STAGES + which); };

  u32 rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  int first = blockIdx.x / 2, stride = gridDim.x / 2;

  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; ++i) {
      barrier_init(full(i), 1);
      barrier_init(empty(i), 16);  // 8 consumer warps of each of the two blocks
    }
    for (int i = 0; i < 4; ++i) barrier_init(residual(i), 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  // The peer's barriers must stand before anything is sent to them.
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");

  int group = threadIdx.x / 128;
  if (group == 0) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == 0) {
      int stage = 0;
      u32 phase = 0;
      for (int super = first; super < kSupers; super += stride) {
        int row, column;
        place(super, row, column);
        row += rank * kTileM;
        for (int step = 0; step < kSteps; ++step) {
          barrier_wait(empty(stage), phase ^ 1);
          barrier_expect(full(stage), kStageBytes);
          u32 a = base + stage * kStageBytes, b = a + kBytesA;
          load_tile(a, &map_x, step * kTileK, row, full(stage));
          // Each block fetches half of the w tile for both.
          load_tile_multicast(b + rank * (kBytesB / 2), &map_w, step * kTileK,
                              column + rank * (kTileN / 2), full(stage), u16{3});
          if (++stage == STAGES) stage = 0, phase ^= 1;
        }
      }
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    int who = group - 1, thread = threadIdx.x % 128, warp = thread / 32, lane = thread % 32;
    bool leader = thread == 0;
    u32 mine = staging + who * 2 * kStagingBytes;
    int stage = 0;
    u32 phase = 0, residual_phase = 0;
    float d[128];
    for (int super = first; super < kSupers; super += stride) {
      int row, column;
      place(super, row, column);
      row += rank * kTileM + who * 64;
      auto fetch_residual = [&](int chunk) {
        u32 bar = residual(who * 2 + (chunk & 1));
        barrier_expect(bar, kStagingBytes);
        load_tile(mine + (chunk & 1) * kStagingBytes, &map_residual, column + chunk * kChunk, row,
                  bar);
      };
      if (leader) {
        store_wait_read();
        fetch_residual(0);
        fetch_residual(1);
      }
      int previous = 0;
      for (int step = 0; step < kSteps; ++step) {
        barrier_wait(full(stage), phase);
        u32 tile = base + stage * kStageBytes;
        u64 a = descriptor(tile + who * 64 * kTileK * 2), b = descriptor(tile + kBytesA);
        multiply_fence();
#pragma unroll
        for (int k = 0; k < kTileK / 16; ++k) multiply(d, a + 2 * k, b + 2 * k, step + k > 0);
        multiply_commit();
        if (step > 0) {
          // The products of the step before are done: both blocks may fill its stage again.
          multiply_wait<1>(d);
          if (lane < 2) barrier_arrive_at(empty(previous), lane);
        }
        previous = stage;
        if (++stage == STAGES) stage = 0, phase ^= 1;
      }
      multiply_wait<0>(d);
      if (lane < 2) barrier_arrive_at(empty(previous), lane);

#pragma unroll
      for (int chunk = 0; chunk < kTileN / kChunk; ++chunk) {
        int buffer = chunk & 1;
        barrier_wait(residual(who * 2 + buffer), (residual_phase >> buffer) & 1);
        residual_phase ^= 1u << buffer;
#pragma unroll
        for (int j = 0; j < kChunk / 8; ++j) {
          int at = column + chunk * kChunk + j * 8 + (lane % 4) * 2;
          float2 add = to_float(*reinterpret_cast<const u32*>(bias + at));
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            int r = warp * 16 + half * 8 + lane / 4;
            // 16-byte unit j of row r lies at j ^ (r mod 8).
            u32 word =
                mine + buffer * kStagingBytes + r * 128 + ((j ^ (r & 7)) << 4) + (lane % 4) * 4;
            u32 pair;
            asm volatile("ld.shared.u32 %0, [%1];" : "=r"(pair) : "r"(word) : "memory");
            float2 keep = to_float(pair);
            const int i = (chunk * (kChunk / 8) + j) * 4 + half * 2;
            pair = to_half(silu(d[i] + add.x) + keep.x, silu(d[i + 1] + add.y) + keep.y);
            asm volatile("st.shared.u32 [%0], %1;" ::"r"(word), "r"(pair) : "memory");
          }
        }
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        group_barrier(who);
        if (leader) {
          store_tile(&map_y, column + chunk * kChunk, row, mine + buffer * kStagingBytes);
          if (chunk < 2) {
            store_wait_read();
            fetch_residual(chunk + 2);
          }
        }
      }
    }
    if (leader) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
  // The peer still sends to this block's barriers.
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}

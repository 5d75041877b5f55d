// SPDX-License-Identifier: Apache-2.0
// y = relu(x wᵀ + b)², f16 with f32 accumulators: stream-K over clusters of 2 blocks, which share
// each tile of w by multicast: 256 rows, 128 for each. The tiles that do not fill a round of all
// clusters are cut: every cluster does an equal share of their K steps, first of all. Then it does
// kWhole tiles whole, all clusters at the same depth at a time so that they meet in the L2 cache.
// Every contributor of a cut tile leaves its sums in `partials`; once all have, each adds up its
// own slice of the tile over all of them, in their order, so results never vary. Three warps that
// multiply nothing do that while the others are at whole tiles. `ready` has a counter per cut tile
// and rank in the cluster: blocks that arrived, then warps that left; the last sets it back to 0.
// Clusters wait for each other, so all must be resident: a cooperative launch. Params: ROWS, COLS,
// DEPTH, STAGES, BLOCKS.

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
constexpr int kTilesM = ROWS / (2 * kTileM), kTilesN = COLS / kTileN;  // of a cluster
constexpr int kClusters = BLOCKS / 2, kWhole = kTilesM * kTilesN / kClusters;
constexpr int kFirstCut = kWhole * kClusters;  // the first tile that is cut
constexpr int kCutSteps = (kTilesM * kTilesN - kFirstCut) * kSteps;
// The first kMore clusters do one step of the cut tiles more than the others.
constexpr int kEach = kCutSteps / kClusters, kMore = kCutSteps % kClusters;
constexpr int kPartial = kTileM * kTileN / 4;  // float4s of one partial tile
constexpr int kUnits = 8 * 16;                 // of a partial: 16 rows of 16 columns
constexpr int kAdders = 3;                     // warps of a block that add up slices

static_assert(ROWS % (2 * kTileM) == 0 && BLOCKS % 2 == 0 && COLS % kTileN == 0 &&
                  DEPTH % kTileK == 0,
              "");
// Every cluster has a share, which lies in at most two tiles.
static_assert(kCutSteps == 0 || (kEach > 0 && kEach + (kMore > 0) <= kSteps), "");
static_assert(2 * (kTilesM * kTilesN - kFirstCut) <= BLOCKS, "a counter per cut tile and rank");

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

// Arrives at the barrier of the same offset in block `rank` of the cluster.
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

__device__ __forceinline__ void fetch_map(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

__device__ __forceinline__ void load_tile(u32 to, const TensorMap* map, int c0, int c1, u32 bar) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
      "l"(map), "r"(c0), "r"(c1), "r"(bar)
      : "memory");
}

// To the same place in every block of the mask, and signalled there.
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

// Between the 256 consumers, which go on, and warp 1, which waits: a partial is written.
__device__ __forceinline__ void slot_written(int slot) {
  if (slot == 0)
    asm volatile("bar.arrive 3, 288;" ::: "memory");
  else
    asm volatile("bar.arrive 4, 288;" ::: "memory");
}
__device__ __forceinline__ void slot_wait(int slot) {
  if (slot == 0)
    asm volatile("bar.sync 3, 288;" ::: "memory");
  else
    asm volatile("bar.sync 4, 288;" ::: "memory");
}

__device__ __forceinline__ void arrive(u32* counter) {
  asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
}
__device__ __forceinline__ u32 leave(u32* counter) {
  u32 before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;"
               : "=r"(before)
               : "l"(counter)
               : "memory");
  return before;
}
__device__ __forceinline__ u32 peek(const u32* counter) {
  u32 value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
  return value;
}
__device__ __forceinline__ float4 load_fresh(const float4* from) {
  float4 v;
  asm volatile("ld.relaxed.gpu.global.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "l"(from)
               : "memory");
  return v;
}

__device__ __forceinline__ float squared_relu(float v) {
  v = v > 0 ? v : 0;
  return v * v;
}

// Steps of the cluster's part: 0 is its share of the cut tiles, then come whole tiles.
__device__ __forceinline__ int begin(int part, int cluster) {
  if (part > 0) return ((part - 1) * kClusters + cluster) * kSteps;
  return kFirstCut * kSteps + cluster * kEach + min(cluster, kMore);
}
// The cluster whose share holds this step, counted from the first that is cut.
__device__ __forceinline__ int cluster_of(int step) {
  constexpr int kLong = kMore * (kEach + 1), kShare = kEach > 0 ? kEach : 1;
  return step < kLong ? step / (kEach + 1) : kMore + (step - kLong) / kShare;
}
// A block has two partials: the second where its cluster is a tile's first contributor.
__device__ __forceinline__ int partial_of(int cluster, u32 rank, int slot) {
  return ((2 * cluster + rank) * 2 + slot) * kPartial;
}

// Of warps 1 to 3: the block's slices of the cut tiles that its cluster has a share of.
__device__ __forceinline__ void add_slices(int cluster, u32 rank, int adder, int lane,
                                           const u16* bias, const float4* partials, u32* ready,
                                           u16* y) {
  const int start = begin(0, cluster), stop = begin(0, cluster + 1);
  const int first_tile = start / kSteps, last_tile = (stop - 1) / kSteps;
  auto slot_in = [&](int tile) { return tile * kSteps >= start ? 1 : 0; };
  auto counter_of = [&](int tile) { return ready + 2 * (tile - kFirstCut) + rank; };
  if (adder == 0)
    for (int tile = first_tile; tile <= last_tile; ++tile) {
      slot_wait(slot_in(tile));
      if (lane == 0) arrive(counter_of(tile));
    }
  for (int tile = first_tile; tile <= last_tile; ++tile) {
    const int from_step = (tile - kFirstCut) * kSteps, first = cluster_of(from_step);
    const int count = cluster_of(from_step + kSteps - 1) - first + 1, mine = cluster - first;
    u32* counter = counter_of(tile);
    if (lane == 0)
      while (peek(counter) < count) asm volatile("nanosleep.u32 200;" ::: "memory");
    __syncwarp();
    const int units_end = (mine + 1) * kUnits / count;
    for (int unit = mine * kUnits / count + adder; unit < units_end; unit += kAdders) {
      const int warp = unit / 16, j = unit % 16 * 2;  // of the consumers, in their accumulators
      const float4* from = partials + j * 256 + warp * 32 + lane;
      float4 sum[2] = {};
      for (int other = 0; other < count; other += 4) {
        float4 v[4][2] = {};  // loads first: eight are under way at a time
#pragma unroll
        for (int l = 0; l < 4; ++l)
          if (other + l < count) {
            const float4* at = from + partial_of(first + other + l, rank, other + l == 0);
            v[l][0] = load_fresh(at), v[l][1] = load_fresh(at + 256);
          }
#pragma unroll
        for (int l = 0; l < 8; ++l) {
          float4 &to = sum[l % 2], more = v[l / 2][l % 2];
          to.x += more.x, to.y += more.y, to.z += more.z, to.w += more.w;
        }
      }
      int row = (tile % kTilesM * 2 + rank) * kTileM + warp * 16 + lane / 4;
      int column = tile / kTilesM * kTileN + j * 8 + (lane % 4) * 2;
#pragma unroll
      for (int l = 0; l < 2; ++l) {
        float2 add = to_float(*reinterpret_cast<const u32*>(bias + column + 8 * l));
        u32* to = reinterpret_cast<u32*>(y + static_cast<long>(row) * COLS + column + 8 * l);
        to[0] = to_half(squared_relu(sum[l].x + add.x), squared_relu(sum[l].y + add.y));
        to[4 * COLS] = to_half(squared_relu(sum[l].z + add.x), squared_relu(sum[l].w + add.y));
      }
    }
    // All have seen the counter at `count` or above before it goes back to 0.
    __syncwarp();
    if (lane == 0 && leave(counter) == (1 + kAdders) * count - 1) *counter = 0;
  }
}

extern "C" __global__ void __launch_bounds__(384, 1)
    gemm(const __grid_constant__ TensorMap map_x, const __grid_constant__ TensorMap map_w,
         const __grid_constant__ TensorMap map_y, const u16* bias, float* partials, u32* ready,
         u16* y) {
  extern __shared__ unsigned char raw[];
  u32 base = (shared_address(raw) + 1023) & ~1023u;
  u32 staging = base + STAGES * kStageBytes;
  u32 columns = staging + 4 * kStagingBytes;  // of the bias, for each consumer
  u32 barriers = columns + 2 * kTileN * 2;
  auto full = [&](int stage) { return barriers + 8 * stage; };
  auto empty = [&](int stage) { return barriers + 8 * (STAGES + stage); };

  if (threadIdx.x == 0) {
    fetch_map(&map_x), fetch_map(&map_w), fetch_map(&map_y);
    for (int i = 0; i < STAGES; ++i) {
      barrier_init(full(i), 1);
      barrier_init(empty(i), 16);  // 8 consumer warps of each of the two blocks
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  // The peer's barriers must stand before anything is sent to them.
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");

  u32 rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  const int cluster = blockIdx.x / 2;
  int group = threadIdx.x / 128;
  if (group == 0) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 72;");
    if (threadIdx.x >= 32) {
      if constexpr (kCutSteps > 0)
        add_slices(cluster, rank, threadIdx.x / 32 - 1, threadIdx.x % 32, bias,
                   reinterpret_cast<const float4*>(partials), ready, y);
    } else if (threadIdx.x == 0) {
      int stage = 0;
      u32 phase = 0;
      for (int part = 0; part <= kWhole; ++part)
        for (int i = begin(part, cluster), stop = begin(part, cluster + 1); i < stop; ++i) {
          int tile = i / kSteps, step = i % kSteps;
          barrier_wait(empty(stage), phase ^ 1);
          barrier_expect(full(stage), kStageBytes);
          u32 a = base + stage * kStageBytes;
          load_tile(a, &map_x, step * kTileK, (tile % kTilesM * 2 + rank) * kTileM, full(stage));
          // Each block fetches half of the w tile for both.
          load_tile_multicast(a + kBytesA + rank * (kBytesB / 2), &map_w, step * kTileK,
                              tile / kTilesM * kTileN + rank * (kTileN / 2), full(stage), u16{3});
          if (++stage == STAGES) stage = 0, phase ^= 1;
        }
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 216;");
    int who = group - 1, thread = threadIdx.x % 128, warp = thread / 32, lane = thread % 32;
    int worker = threadIdx.x - 128;  // among the 256 consumers
    bool leader = thread == 0;
    u32 mine = staging + who * 2 * kStagingBytes, bias_here = columns + who * kTileN * 2;
    int stage = 0;
    u32 phase = 0;
    float d[128];
    for (int part = 0; part <= kWhole; ++part)
      for (int i = begin(part, cluster), stop = begin(part, cluster + 1); i < stop;) {
        int tile = i / kSteps, end = min(stop, (tile + 1) * kSteps), previous = 0;
        int slot = i == tile * kSteps, column = tile / kTilesM * kTileN;
        // The tile's bias is under way while the products run.
        u32 bias_pair = part > 0 ? reinterpret_cast<const u32*>(bias + column)[thread] : 0;
        for (int step = i; step < end; ++step) {
          barrier_wait(full(stage), phase);
          u32 at = base + stage * kStageBytes;
          u64 a = descriptor(at + who * 64 * kTileK * 2), b = descriptor(at + kBytesA);
          multiply_fence();
#pragma unroll
          for (int k = 0; k < kTileK / 16; ++k) multiply(d, a + 2 * k, b + 2 * k, step - i + k > 0);
          multiply_commit();
          if (step > i) {
            multiply_wait<1>(d);
            if (lane < 2) barrier_arrive_at(empty(previous), lane);
          }
          previous = stage;
          if (++stage == STAGES) stage = 0, phase ^= 1;
        }
        multiply_wait<0>(d);
        if (lane < 2) barrier_arrive_at(empty(previous), lane);
        i = end;

        if (part == 0) {
          float4* to =
              reinterpret_cast<float4*>(partials) + partial_of(cluster, rank, slot) + worker;
#pragma unroll
          for (int j = 0; j < 32; ++j)
            to[j * 256] = make_float4(d[4 * j], d[4 * j + 1], d[4 * j + 2], d[4 * j + 3]);
          slot_written(slot);
          continue;
        }

        int row = (tile % kTilesM * 2 + rank) * kTileM + who * 64;
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(bias_here + thread * 4), "r"(bias_pair)
                     : "memory");
#pragma unroll
        for (int chunk = 0; chunk < kTileN / kChunk; ++chunk) {
          int buffer = chunk & 1;
          // The buffer's last store, two rounds ago, must have been read.
          if (leader) asm volatile("cp.async.bulk.wait_group.read 1;" ::: "memory");
          group_barrier(who);
#pragma unroll
          for (int j = 0; j < kChunk / 8; ++j) {
            u32 pair_of_bias;
            asm volatile("ld.shared.u32 %0, [%1];"
                         : "=r"(pair_of_bias)
                         : "r"(bias_here + (chunk * kChunk + j * 8 + (lane % 4) * 2) * 2)
                         : "memory");
            float2 add = to_float(pair_of_bias);
#pragma unroll
            for (int half = 0; half < 2; ++half) {
              int r = warp * 16 + half * 8 + lane / 4;
              u32 word =
                  mine + buffer * kStagingBytes + r * 128 + ((j ^ (r & 7)) << 4) + (lane % 4) * 4;
              const int n = (chunk * (kChunk / 8) + j) * 4 + half * 2;
              u32 pair = to_half(squared_relu(d[n] + add.x), squared_relu(d[n + 1] + add.y));
              asm volatile("st.shared.u32 [%0], %1;" ::"r"(word), "r"(pair) : "memory");
            }
          }
          asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
          group_barrier(who);
          if (leader)
            store_tile(&map_y, column + chunk * kChunk, row, mine + buffer * kStagingBytes);
        }
      }
    if (leader) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
  // The peer still sends to this block's barriers.
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}

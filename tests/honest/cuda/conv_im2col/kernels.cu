// SPDX-License-Identifier: Apache-2.0
// y = relu(conv3x3(x) + b), padding 1, all NHWC f16 with f32 accumulators: an implicit matrix
// product. One step multiplies 128 pixels by 64 input channels of one filter tap; the copy engine
// gathers the pixels (im2col mode) and fills what lies outside with zeros. Persistent: warpgroup 0
// loads, 1 and 2 multiply. Params: BATCH, HEIGHT, WIDTH, CHANNELS (in and out, 128), STAGES.

using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

struct alignas(64) TensorMap {
  unsigned char bytes[128];
};

constexpr int kTileM = 128, kTileN = 128, kTileK = 64, kTaps = 9;
constexpr int kBytesA = kTileM * kTileK * 2, kBytesB = kTileN * kTileK * 2;
constexpr int kStageBytes = kBytesA + kBytesB;
constexpr int kChunk = 64;                      // columns of one epilogue round
constexpr int kStagingBytes = 64 * kChunk * 2;  // of one round of one warpgroup
constexpr int kBlocks = CHANNELS / kTileK;      // of input channels
constexpr int kSteps = kTaps * kBlocks;
constexpr int kPixels = BATCH * HEIGHT * WIDTH, kTiles = kPixels / kTileM;

static_assert(kPixels % kTileM == 0 && CHANNELS == kTileN, "");

// w[o][i][r][s] to packed[r][s][o][i].
extern "C" __global__ void pack(const u16* w, u16* packed) {
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  int i = at % CHANNELS, o = at / CHANNELS % CHANNELS, tap = at / (CHANNELS * CHANNELS);
  packed[at] = w[(o * CHANNELS + i) * kTaps + tap];
}

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

__device__ __forceinline__ void barrier_arrive(u32 bar) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
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

// Pixels from (w, h, n) on, each moved by the tap; channels from c on.
__device__ __forceinline__ void load_pixels(u32 to, const TensorMap* map, int c, int w, int h,
                                            int n, u16 tap_w, u16 tap_h, u32 bar) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%2, %3, %4, %5}], [%6], {%7, %8};" ::"r"(to),
      "l"(map), "r"(c), "r"(w), "r"(h), "r"(n), "r"(bar), "h"(tap_w), "h"(tap_h)
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

// d += a bᵀ (or d = a bᵀ when `keep` is 0): 64 x 128 x 16.
__device__ __forceinline__ void multiply(float (&d)[64], u64 a, u64 b, int keep) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, p, 1, 1, 0, 0;\n"
      "}\n"
      : D8(0), D8(8), D8(16), D8(24), D8(32), D8(40), D8(48), D8(56)
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
__device__ __forceinline__ void multiply_wait(float (&d)[64]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
  if constexpr (kPending == 0) {
#pragma unroll
    for (int i = 0; i < 64; ++i) asm volatile("" : "+f"(d[i])::"memory");
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

extern "C" __global__ void __launch_bounds__(384, 1)
    convolve(const __grid_constant__ TensorMap map_x, const __grid_constant__ TensorMap map_w,
             const __grid_constant__ TensorMap map_y, const u16* bias) {
  extern __shared__ unsigned char raw[];
  u32 base = (shared_address(raw) + 1023) & ~1023u;
  u32 staging = base + STAGES * kStageBytes;
  u32 barriers = staging + 4 * kStagingBytes;
  auto full = [&](int stage) { return barriers + 8 * stage; };
  auto empty = [&](int stage) { return barriers + 8 * (STAGES + stage); };

  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; ++i) {
      barrier_init(full(i), 1);
      barrier_init(empty(i), 8);  // consumer warps
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  int group = threadIdx.x / 128;
  if (group == 0) {
    if (threadIdx.x == 0) {
      int stage = 0;
      u32 phase = 0;
      for (int tile = blockIdx.x; tile < kTiles; tile += gridDim.x) {
        int pixel = tile * kTileM;
        int n = pixel / (HEIGHT * WIDTH), h = pixel / WIDTH % HEIGHT, w = pixel % WIDTH;
        for (int step = 0; step < kSteps; ++step) {
          int tap = step / kBlocks, channel = step % kBlocks * kTileK;
          barrier_wait(empty(stage), phase ^ 1);
          barrier_expect(full(stage), kStageBytes);
          u32 a = base + stage * kStageBytes;
          // Tap (0, 0) of an output pixel lies one up and one left of it: the box's lower corner.
          load_pixels(a, &map_x, channel, w - 1, h - 1, n, static_cast<u16>(tap % 3),
                      static_cast<u16>(tap / 3), full(stage));
          load_tile(a + kBytesA, &map_w, channel, tap * CHANNELS, full(stage));
          if (++stage == STAGES) stage = 0, phase ^= 1;
        }
      }
    }
  } else {
    int who = group - 1, thread = threadIdx.x % 128, warp = thread / 32, lane = thread % 32;
    bool leader = thread == 0;
    u32 mine = staging + who * 2 * kStagingBytes;
    int stage = 0;
    u32 phase = 0;
    float d[64];
    for (int tile = blockIdx.x; tile < kTiles; tile += gridDim.x) {
      int previous = 0;
      for (int step = 0; step < kSteps; ++step) {
        barrier_wait(full(stage), phase);
        u32 at = base + stage * kStageBytes;
        u64 a = descriptor(at + who * 64 * kTileK * 2), b = descriptor(at + kBytesA);
        multiply_fence();
#pragma unroll
        for (int k = 0; k < kTileK / 16; ++k) multiply(d, a + 2 * k, b + 2 * k, step + k > 0);
        multiply_commit();
        if (step > 0) {
          multiply_wait<1>(d);
          if (lane == 0) barrier_arrive(empty(previous));
        }
        previous = stage;
        if (++stage == STAGES) stage = 0, phase ^= 1;
      }
      multiply_wait<0>(d);
      if (lane == 0) barrier_arrive(empty(previous));

      int row = tile * kTileM + who * 64;
#pragma unroll
      for (int chunk = 0; chunk < kTileN / kChunk; ++chunk) {
        int buffer = chunk & 1;
        // The buffer's last store, two rounds ago, must have been read.
        if (leader) asm volatile("cp.async.bulk.wait_group.read 1;" ::: "memory");
        group_barrier(who);
#pragma unroll
        for (int j = 0; j < kChunk / 8; ++j) {
          int at = chunk * kChunk + j * 8 + (lane % 4) * 2;
          float2 add = to_float(*reinterpret_cast<const u32*>(bias + at));
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            int r = warp * 16 + half * 8 + lane / 4;
            u32 word =
                mine + buffer * kStagingBytes + r * 128 + ((j ^ (r & 7)) << 4) + (lane % 4) * 4;
            const int n = (chunk * (kChunk / 8) + j) * 4 + half * 2;
            u32 pair = to_half(fmaxf(d[n] + add.x, 0.0f), fmaxf(d[n + 1] + add.y, 0.0f));
            asm volatile("st.shared.u32 [%0], %1;" ::"r"(word), "r"(pair) : "memory");
          }
        }
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        group_barrier(who);
        if (leader) store_tile(&map_y, chunk * kChunk, row, mine + buffer * kStagingBytes);
      }
    }
    if (leader) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
}

// SPDX-License-Identifier: Apache-2.0
// C = A Bᵀ of fp32 numbers given as planes of bf16 pieces (kw_pieces.h), on Hopper's tensor cores
// (sm_90a), about as exact as plain fp32. Of the nine products of pieces six are computed: l·h,
// h·l, m·m, h·m, m·h, h·h; the rest is below 2^-24 of the largest.
//
// Tensor cores cut off when they add. So every chunk of K starts from zero, with its small products
// first, and h·h is cut kChunk / 16 times; finished chunks are added up in registers with ordinary
// rounding. Such a sum lies about 1 unit (2^-24, kChunk = 32) or 2 (64) below that of positive
// products, and is unbiased when signs vary.
//
// A block is 128 x kTileN outputs: warpgroup 0 loads, 1 and 2 multiply 64 rows each (kTileN / 2
// registers of a chunk and as many of the sum) and hide each other's additions. The blocks of a
// cluster lie below one another and share B's tile, of which each fetches its part.
// Per element of K a block reads 6 * (128 + kTileN / kCluster) bytes from L2 and does 12 * 128 *
// kTileN flop: with 128 columns 128 flop per byte alone and 171 in a cluster of two, so that 600
// TFLOP/s of bf16 (100 of fp32) take 4.7 and 3.5 TB/s. Shared memory is read 6 KB per 64 x 128 x 16
// product (64 clocks): 96 of its 128 bytes per clock, and written 32 or less.
#ifndef KW_SPLIT_H
#define KW_SPLIT_H

#include "kw_pieces.h"
#include "kw_tma.h"
#include "kw_wgmma.h"

// Extents in tiles; `chunks` of K, an even number (those beyond K are zeros).
struct kw_split_extents {
  int batches, tiles_m, tiles_n, chunks;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

template <int kTileN, int kChunk, int kStages, int kCluster>
struct kw_split {
  static constexpr int kTileM = 128, kWarps = 8;  // multiplying warps
  static constexpr int kRowBytes = 2 * kChunk;    // also the swizzle's width
  static constexpr int kPieceA = kTileM * kRowBytes, kPieceB = kTileN * kRowBytes;
  static constexpr int kStageBytes = 3 * (kPieceA + kPieceB);
  static constexpr bool kPairs = kStages >= 4;  // two chunks at once
  static constexpr int kGroup = 8;              // tiles in M that follow one another, for L2
  static_assert(kChunk == 32 || kChunk == 64, "a row is as wide as its swizzle");
  static_assert(kTileN / kCluster % 8 == 0, "a block's part of B's tile is whole swizzle groups");

  unsigned char* stages;
  kw_mbarrier *full, *empty;
  kw_split_extents extents;
  int rank;

  struct Place {
    int batch, tile_m, tile_n;
  };

  __device__ __forceinline__ kw_split(unsigned char* shared, kw_split_extents all)
      : stages(shared + (1024 - kw_shared(shared) % 1024) % 1024),
        full((kw_mbarrier*)(stages + kStages * kStageBytes)),
        empty(full + kStages),
        extents(all),
        rank(kCluster > 1 ? (int)kw_cluster_rank() : 0) {}

  // Columns of tiles are taken kGroup clusters at a time.
  __device__ __forceinline__ int count() const {
    return extents.batches * kw_ceil_div(extents.tiles_m, kCluster) * extents.tiles_n;
  }
  __device__ __forceinline__ Place place(int number) const {
    const int rows = kw_ceil_div(extents.tiles_m, kCluster), each = rows * extents.tiles_n;
    const int batch = number / each, flat = number % each;
    const int group = flat / (kGroup * extents.tiles_n), inside = flat % (kGroup * extents.tiles_n);
    const int height = rows - group * kGroup < kGroup ? rows - group * kGroup : kGroup;
    return {batch, (group * kGroup + inside % height) * kCluster + rank, inside / height};
  }

  __device__ __forceinline__ void start() {
    if (threadIdx.x == 0) {
      for (int i = 0; i < kStages; ++i) {
        kw_mbarrier_init(full + i, 1);
        kw_mbarrier_init(empty + i, kWarps * kCluster);
      }
      kw_mbarrier_init_fence();
    }
    __syncwarp();
    meet();
  }
  // The peers' barriers must stand before anything is sent to them, and until all is sent.
  __device__ __forceinline__ void meet() {
    if (kCluster > 1)
      kw_cluster_sync();
    else
      __syncthreads();
  }

  // One thread.
  __device__ __forceinline__ void load(const kw_tensor_map* a, const kw_tensor_map* b) {
    kw_ring<kStages> ring;
    for (int i = blockIdx.x / kCluster; i < count(); i += gridDim.x / kCluster) {
      const Place at = place(i);
      const int row = at.tile_m * kTileM, part = kTileN / kCluster;
      const int column = at.tile_n * kTileN + rank * part;
      for (int chunk = 0; chunk < extents.chunks; ++chunk) {
        kw_mbarrier_wait(empty + ring.stage, ring.parity ^ 1u);
        kw_mbarrier* bar = full + ring.stage;
        kw_mbarrier_arrive_expect(bar, kStageBytes);
        unsigned char* to = stages + ring.stage * kStageBytes;
        for (int p = 0; p < 3; ++p)
          kw_tma_load(to + p * kPieceA, a, bar, chunk * kChunk, row,
                      p * extents.batches + at.batch);
        to += 3 * kPieceA + rank * part * kRowBytes;
        for (int p = 0; p < 3; ++p) {
          if (kCluster > 1)
            kw_tma_load_multicast(to + p * kPieceB, b, bar, (uint16_t)((1 << kCluster) - 1),
                                  chunk * kChunk, column, p * extents.batches + at.batch);
          else
            kw_tma_load(to + p * kPieceB, b, bar, chunk * kChunk, column,
                        p * extents.batches + at.batch);
        }
        ring.next();
      }
    }
  }

  // All six products of a chunk, the small ones first. a and b: descriptors of the first piece.
  static __device__ __forceinline__ void multiply(float (&d)[kTileN / 2], uint64_t a, uint64_t b) {
    constexpr int kOrder[6][2] = {{2, 0}, {0, 2}, {1, 1}, {0, 1}, {1, 0}, {0, 0}};
#pragma unroll
    for (int p = 0; p < 6; ++p) {
#pragma unroll
      for (int k = 0; k < kChunk / 16; ++k)
        kw_wgmma<kw_bf16_tag, kTileN>::ss(d, a + kw_wgmma_step(kOrder[p][0] * kPieceA + 32 * k),
                                          b + kw_wgmma_step(kOrder[p][1] * kPieceB + 32 * k),
                                          p + k > 0 ? 1 : 0);
    }
  }

  // The chunk in the ring's stage into d, without waiting for it.
  __device__ __forceinline__ void issue(float (&d)[kTileN / 2], kw_ring<kStages>& ring, int who) {
    kw_mbarrier_wait(full + ring.stage, ring.parity);
    const unsigned char* stage = stages + ring.stage * kStageBytes;
    kw_wgmma_fence();
    multiply(d, kw_wgmma_descriptor<kRowBytes>(stage + who * 64 * kRowBytes, 16, 8 * kRowBytes),
             kw_wgmma_descriptor<kRowBytes>(stage + 3 * kPieceA, 16, 8 * kRowBytes));
    kw_wgmma_commit();
    ring.next();
  }

  // Adds a chunk to the sum when at most kPending later ones are under way, and hands its stage
  // back: to every block of the cluster, whose loads fill it again.
  template <int kPending>
  __device__ __forceinline__ void add(float (&sum)[kTileN / 2], float (&d)[kTileN / 2],
                                      kw_ring<kStages>& ring) {
    kw_wgmma_wait<kPending>();
    kw_wgmma_touch(d);
    const int lane = (int)threadIdx.x % 32;
    if (kCluster > 1) {
      if (lane < kCluster) kw_mbarrier_hand_back(empty + ring.stage, (uint32_t)lane);
    } else if (lane == 0) {
      kw_mbarrier_arrive(empty + ring.stage);
    }
    __syncwarp();
#pragma unroll
    for (int e = 0; e < kTileN / 2; ++e) sum[e] += d[e];
    ring.next();
  }

  // One warpgroup of two; `finish` as below. While one chunk is multiplied the one before is added.
  template <class Finish>
  __device__ __forceinline__ void compute(Finish& finish) {
    // The same in all lanes, which the compiler cannot know.
    const int who = __shfl_sync(0xffffffffu, (int)threadIdx.x / 128 - 1, 0),
              warp = (int)threadIdx.x % 128 / 32, lane = (int)threadIdx.x % 32;
    kw_ring<kStages> filled, done;
    for (int i = blockIdx.x / kCluster; i < count(); i += gridDim.x / kCluster) {
      float sum[kTileN / 2], even[kTileN / 2], odd[kTileN / 2];
#pragma unroll
      for (int e = 0; e < kTileN / 2; ++e) sum[e] = even[e] = odd[e] = 0;
      if constexpr (kPairs) {
        // The second warpgroup's pairs begin one chunk later, so that only one of the two waits.
        if (who == 1) {
          issue(even, filled, who);
          add<0>(sum, even, done);
        }
        for (int chunk = who; chunk + 1 < extents.chunks; chunk += 2) {
          issue(even, filled, who);
          issue(odd, filled, who);
          add<1>(sum, even, done);
          add<0>(sum, odd, done);
        }
        if (who == 1) {
          issue(even, filled, who);
          add<0>(sum, even, done);
        }
      } else {
        for (int chunk = 0; chunk < extents.chunks; ++chunk) {
          issue(even, filled, who);
          add<0>(sum, even, done);
        }
      }
      const Place at = place(i);
      const int row = at.tile_m * kTileM + who * 64 + warp * 16 + lane / 4;
      const int column = at.tile_n * kTileN + lane % 4 * 2;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int j = 0; j < kTileN / 8; ++j)
          finish(at.batch, row + 8 * half, column + 8 * j, sum[4 * j + 2 * half],
                 sum[4 * j + 2 * half + 1]);
      }
    }
  }
};

// Whole kernel: 384 threads; `shared` has room for kStages stages and their barriers (16 bytes
// each) from a multiple of 1024 on. Maps of the pieces: dimensions K (padded to chunks), rows, 3 *
// batches (h of all batches, then m, then l); boxes kChunk x 128 x 1 for A, kChunk x kTileN /
// kCluster x 1 for B; swizzle as wide as a row of the box. finish(batch, m, n, c0, c1) takes the
// sums of (m, n) and (m, n + 1), n even; it is called for places beyond the extents too.
template <int kTileN, int kChunk, int kStages, int kCluster, class Finish>
KW_DEVICE void kw_split_multiply(unsigned char* shared, const kw_tensor_map* a,
                                 const kw_tensor_map* b, kw_split_extents extents, Finish finish) {
  kw_split<kTileN, kChunk, kStages, kCluster> work(shared, extents);
  work.start();
  if (threadIdx.x < 128) {
    kw_registers_down<40>();
    if (threadIdx.x == 0) work.load(a, b);
    __syncwarp();
  } else {
    kw_registers_up<232>();
    work.compute(finish);
  }
  work.meet();
}

#endif  // sm_90a
#endif

// SPDX-License-Identifier: Apache-2.0
// Stands in for the CUDA device header of this name where kernels are emulated: the same products
// of pieces in the same order, read from the planes that the tensor maps name, without a pipeline.
#ifndef KW_EMULATED_SPLIT_H
#define KW_EMULATED_SPLIT_H

#include "kw_pieces.h"

#define __grid_constant__

// What tests/unit/compiled.cpp passes for a tensor map of three dimensions.
struct kw_emulated_map {
  const void* base;
  int64_t shape[3], box[3];
  int64_t swizzle;
};
struct kw_tensor_map {
  const kw_emulated_map* map;
};
struct kw_split_extents {
  int batches, tiles_m, tiles_n, chunks;
};

// A piece of an operand; outside of the map zero.
static inline float kw_emulated_piece(const kw_emulated_map& map, int64_t k, int64_t row,
                                      int64_t plane) {
  if (k >= map.shape[0] || row >= map.shape[1]) return 0;
  const uint16_t bits =
      ((const uint16_t*)map.base)[(plane * map.shape[1] + row) * map.shape[0] + k];
  return __uint_as_float((uint32_t)bits << 16);
}

template <int kTileN, int kChunk, int kStages, int kCluster>
static float kw_emulated_sum(const kw_emulated_map& a, const kw_emulated_map& b,
                             kw_split_extents extents, int batch, int m, int n) {
  constexpr int kOrder[6][2] = {{2, 0}, {0, 2}, {1, 1}, {0, 1}, {1, 0}, {0, 0}};
  float sum = 0;
  if (m >= a.shape[1] || n >= b.shape[1]) return sum;
  for (int chunk = 0; chunk < extents.chunks; ++chunk) {
    float part = 0;
    for (int p = 0; p < 6; ++p) {
      for (int k = chunk * kChunk; k < (chunk + 1) * kChunk; ++k)
        part += kw_emulated_piece(a, k, m, kOrder[p][0] * extents.batches + batch) *
                kw_emulated_piece(b, k, n, kOrder[p][1] * extents.batches + batch);
    }
    sum += part;
  }
  return sum;
}

template <int kTileN, int kChunk, int kStages, int kCluster, class Finish>
static void kw_split_multiply(unsigned char*, const kw_tensor_map* map_a,
                              const kw_tensor_map* map_b, kw_split_extents extents, Finish finish) {
  const kw_emulated_map &a = *map_a->map, &b = *map_b->map;
  const bool fits = a.box[0] == kChunk && a.box[1] == 128 && a.box[2] == 1 && b.box[0] == kChunk &&
                    b.box[1] == kTileN / kCluster && b.box[2] == 1 && a.swizzle == 2 * kChunk &&
                    b.swizzle == 2 * kChunk && a.shape[0] == b.shape[0] &&
                    a.shape[0] % kChunk == 0 && a.shape[2] == 3 * extents.batches &&
                    b.shape[2] == 3 * extents.batches && blockDim.x == 384 &&
                    gridDim.x % kCluster == 0 && extents.chunks % 2 == 0 && kStages >= 2 &&
                    (int64_t)extents.chunks * kChunk >= a.shape[0] &&
                    (int64_t)extents.tiles_m * 128 >= a.shape[1] &&
                    (int64_t)extents.tiles_n * kTileN >= b.shape[1];
  if (!fits) KW_BLOCK.fault = "tensor maps that do not fit the product";
  if (!fits || threadIdx.x < 128) return;
  const int thread = (int)threadIdx.x - 128;
  const int rows = (extents.tiles_m + kCluster - 1) / kCluster * kCluster;
  const int tiles = extents.batches * rows * extents.tiles_n;
  for (int tile = (int)blockIdx.x; tile < tiles; tile += (int)gridDim.x) {
    const int batch = tile / (rows * extents.tiles_n);
    const int m0 = tile % rows * 128, n0 = tile / rows % extents.tiles_n * kTileN;
    for (int at = thread; at < 128 * kTileN / 2; at += 256) {
      const int m = m0 + at / (kTileN / 2), n = n0 + at % (kTileN / 2) * 2;
      finish(batch, m, n,
             kw_emulated_sum<kTileN, kChunk, kStages, kCluster>(a, b, extents, batch, m, n),
             kw_emulated_sum<kTileN, kChunk, kStages, kCluster>(a, b, extents, batch, m, n + 1));
    }
  }
}

#endif

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "expert/family.h"
#include "rewrite/convolution.h"

namespace kernelwright::expert {

// Minimal filtering F(t x t, 3 x 3): Y = A^T [ (G g G^T) . (B^T d B) ] A makes t x t outputs from
// an n x n patch d and a filter g with n^2 products per channel, n = t + 2, instead of 9 t^2.
// (Winograd 1980; Lavin and Gray 2015, "Fast algorithms for convolutional neural networks".) The
// matrices follow from n - 1 distinct points and infinity, at which the polynomials are evaluated
// (Toom-Cook, transposed).
using Matrix = std::vector<std::vector<double>>;
struct FilterTransforms {
  Matrix output;  // A^T, t x n
  Matrix filter;  // G, n x 3
  Matrix input;   // B^T, n x n
};
constexpr int64_t kFilterSize = 3;
FilterTransforms filter_transforms(int64_t tile);  // tile 2 or 4

// The numbers that follow from a convolution and a schedule. A block is some rows of tiles (of any
// images) by some output channels; tiles of a block lie side by side, `pitch` elements per channel.
struct WinogradPlan {
  const rewrite::Contraction* c = nullptr;
  rewrite::SlidingWindow window;
  int64_t lanes = 1;
  int64_t tile = 2, patch = 4;  // t and n
  int64_t m = 1, channels = 1;  // output and input channels
  int64_t height = 1, width = 1;
  int64_t tile_rows = 1, tile_columns = 1;  // of an image
  int64_t all_rows = 1;                     // tile rows of all images
  int64_t rows = 1, row_blocks = 1;         // tile rows per block
  int64_t mr = 1, nv = 1, nr = 1, kc = 1;
  int64_t m_tiles = 1, block_m = 1, m_blocks = 1;  // register tiles of output channels
  int64_t pitch = 1, plane = 1;  // of transformed inputs: a channel, a place of the patch
  int64_t line = 1, phase = 1;   // an input row as it comes; its columns of one residue

  int64_t places() const { return patch * patch; }
  int64_t panels() const;  // register tiles along a block's tiles
  // Per-worker scratch in elements, each part a multiple of 16.
  int64_t input_elements() const;
  int64_t product_elements() const;
  int64_t phase_elements() const;  // of a patch row or output row by row, whichever is larger
  int64_t scratch_elements() const;
};

// The window of a convolution that the family takes; nullopt for others.
std::optional<rewrite::SlidingWindow> winograd_window(const OpContext& context);
WinogradPlan plan_winograd(const OpContext& context, const Schedule& schedule);

}  // namespace kernelwright::expert

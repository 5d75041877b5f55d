// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "rewrite/contraction.h"

namespace kernelwright::rewrite {

// A contraction whose factor B slides: along `row` and `column` (n axes) it is the same function of
// row + window_row and column + window_column (k axes), the other factor has neither `row` nor
// `column`. That is a convolution of unit stride over B, padding conditions and computed inputs
// included, whatever the tensors' strides.
struct SlidingWindow {
  int row = -1, column = -1;                // outermost first; column is the innermost that slides
  int window_row = -1, window_column = -1;  // their partners among the k axes
  std::vector<int> images;                  // the other n axes
  std::vector<int> channels;                // the other k axes
};

// The window whose extents are `size` x `size`; nullopt when the contraction has batch axes
// (groups) or no such window. Where more axes slide, the innermost two count.
std::optional<SlidingWindow> match_window(const Contraction& contraction, int64_t size);

// Minimal filtering F(t x t, 3 x 3) makes t x t outputs of a 3x3 window with (t + 2)^2 products per
// channel instead of 9 t^2 (Winograd 1980; Lavin and Gray 2016). A bound on a convolution's time
// counts this share of the direct sum's products, that of tiles of 4: larger tiles round so badly
// that no float type is left, though tiles of 4 may be refused as well. Half of such a bound, with
// the machine model's slack, is below 1/9 of the direct sum's time, which minimal filtering cannot
// reach with any tile. Transforms count nothing.
inline constexpr double kFilteredShare = 6.0 * 6 / (9 * 4 * 4);
// Whether minimal filtering could make a stage: a convolution with 3x3 windows, unit stride, no
// groups, whichever of its factors slides.
bool can_be_filtered(const graph::Stage& stage, const std::vector<graph::StageTensor>& tensors);

}  // namespace kernelwright::rewrite

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

}  // namespace kernelwright::rewrite

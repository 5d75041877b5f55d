// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "rewrite/nest.h"

namespace kernelwright::expert {

// The padded operand of a window that moves over an image: each element of the image with its
// border, once, so that the windows themselves are made without conditions. One "select(inside,
// image[...], outside)" in the body, whose place in the image is stride * output + dilation * tap
// in one or two dimensions.
struct Halo {
  int across = -1, down = -1;  // output axes; columns are the innermost axis; -1: no rows
  // Of the image with its border: columns, and what rows or columns an output step and a window
  // take.
  int64_t columns = 0, column_step = 1, column_span = 1;
  int64_t row_step = 1, row_span = 1;
  // The operand at column `across` and row `down` of the image with its border; the other output
  // axes are as they were.
  graph::Expr operand;
  std::vector<int64_t> extents;  // of `operand`'s axes
  graph::Expr outside;           // its value where a condition fails
  // The nest's body with the operand as load(kTensor, {row, column}).
  static constexpr int kTensor = 1 << 20;
  graph::Expr body;

  int64_t rows_of(int64_t output_rows) const { return (output_rows - 1) * row_step + row_span; }
};

std::optional<Halo> halo_of(const rewrite::Nest& nest);

}  // namespace kernelwright::expert

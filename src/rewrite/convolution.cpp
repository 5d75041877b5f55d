// SPDX-License-Identifier: Apache-2.0
#include "rewrite/convolution.h"

#include <algorithm>
#include <utility>

namespace kernelwright::rewrite {

using graph::Affine;

namespace {

// Whether an expression depends on the two axes through their sum alone.
bool reads_sum_of(const Contraction& c, const graph::Expr& expr, int along, int window) {
  bool sums = true;
  visit_affine(expr, c.nest.rank(), [&](const Affine& affine) {
    sums = sums && affine.coefficients[static_cast<size_t>(along)] ==
                       affine.coefficients[static_cast<size_t>(window)];
  });
  const auto used = axes_used(expr, c.nest.rank());
  return sums && used[static_cast<size_t>(along)] && used[static_cast<size_t>(window)];
}

}  // namespace

std::optional<SlidingWindow> match_window(const Contraction& c, int64_t size) {
  if (!c.batch.empty()) return std::nullopt;
  SlidingWindow window;
  window.images = c.n;
  window.channels = c.k;
  // The innermost pair first.
  const auto take_pair = [&](int& along, int& inside) {
    for (size_t n = window.images.size(); n-- > 0;) {
      for (size_t k = window.channels.size(); k-- > 0;) {
        const int reduced = window.channels[k];
        if (c.nest.extents[static_cast<size_t>(reduced)] != size) continue;
        if (!reads_sum_of(c, c.b, window.images[n], reduced)) continue;
        along = window.images[n];
        inside = reduced;
        window.images.erase(window.images.begin() + static_cast<std::ptrdiff_t>(n));
        window.channels.erase(window.channels.begin() + static_cast<std::ptrdiff_t>(k));
        return true;
      }
    }
    return false;
  };
  if (!take_pair(window.column, window.window_column)) return std::nullopt;
  if (!take_pair(window.row, window.window_row)) return std::nullopt;
  if (window.row > window.column) return std::nullopt;
  return window;
}

bool can_be_filtered(const graph::Stage& stage, const std::vector<graph::StageTensor>& tensors) {
  auto c = match_contraction(stage, tensors);
  if (!c) return false;
  if (match_window(*c, 3)) return true;
  std::swap(c->a, c->b);
  std::swap(c->m, c->n);
  return match_window(*c, 3).has_value();
}

}  // namespace kernelwright::rewrite

// SPDX-License-Identifier: Apache-2.0
#include "expert/families/sliding.h"

#include <algorithm>
#include <cstdint>

namespace kernelwright::expert {

using graph::ExprOp;
using rewrite::Contraction;

namespace {

constexpr double kMostInVain = 1.4;  // columns made for each that is stored
constexpr int64_t kMostTerms = 1 << 14;

}  // namespace

std::optional<Sliding> sliding_of(const Contraction& c) {
  if (c.b->op != ExprOp::kLoad || c.n.empty() || c.extent(c.k) > kMostTerms) return std::nullopt;
  const auto address = rewrite::affine_of(c.nest, c.b->operands[0]);
  if (!address) return std::nullopt;
  auto step = [&](int axis) { return address->coefficients[static_cast<size_t>(axis)]; };
  auto extent = [&](int axis) { return c.nest.extents[static_cast<size_t>(axis)]; };
  if (std::any_of(c.k.begin(), c.k.end(), [&](int axis) { return step(axis) < 0; }) ||
      step(c.n.back()) != 1)
    return std::nullopt;
  Sliding s;
  s.tensor = c.b->tensor;
  int64_t outputs = 1;
  for (size_t j = c.n.size(); j-- > 0;) {
    const int axis = c.n[j];
    const int64_t places =
        (s.moving.empty() ? 0 : s.places - 1) + step(axis) * (extent(axis) - 1) + 1;
    const bool fits =
        s.images.empty() && step(axis) >= s.places &&
        static_cast<double>(places) <= kMostInVain * static_cast<double>(outputs * extent(axis));
    if (s.moving.empty() || fits) {
      s.moving.insert(s.moving.begin(), axis);
      s.pitch.insert(s.pitch.begin(), step(axis));
      s.places = places;
      outputs *= extent(axis);
    } else {
      s.images.insert(s.images.begin(), axis);
    }
  }
  s.offsets = {0};
  for (int axis : c.k) {
    std::vector<int64_t> next;
    for (int64_t at : s.offsets)
      for (int64_t i = 0; i < extent(axis); ++i) next.push_back(at + i * step(axis));
    s.offsets = std::move(next);
  }
  // The table is of int.
  if (*std::max_element(s.offsets.begin(), s.offsets.end()) > INT32_MAX) return std::nullopt;
  return s;
}

}  // namespace kernelwright::expert

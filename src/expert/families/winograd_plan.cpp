// SPDX-License-Identifier: Apache-2.0
#include "expert/families/winograd_plan.h"

#include <algorithm>

#include "expert/emit_util.h"
#include "expert/families/contraction_plan.h"

namespace kernelwright::expert {

namespace {

int64_t round_up(int64_t value, int64_t to) {
  return ceil_div(value, to) * to;
}

// Coefficients of the product of (x - p) over the points but `left_out`, lowest power first.
std::vector<double> monic(const std::vector<double>& points, size_t left_out) {
  std::vector<double> polynomial = {1};
  for (size_t l = 0; l < points.size(); ++l) {
    if (l == left_out) continue;
    polynomial.push_back(0);
    for (size_t i = polynomial.size(); i-- > 0;)
      polynomial[i] = (i > 0 ? polynomial[i - 1] : 0) - points[l] * polynomial[i];
  }
  return polynomial;
}

}  // namespace

FilterTransforms filter_transforms(int64_t tile) {
  // Small points keep the numbers in between small; powers of two make B and A exact.
  const std::vector<double> points =
      tile == 2 ? std::vector<double>{0, 1, -1} : std::vector<double>{0, 1, -1, 2, -2};
  const size_t n = points.size() + 1, t = static_cast<size_t>(tile);
  FilterTransforms f;
  f.output.assign(t, std::vector<double>(n, 0));
  f.filter.assign(n, std::vector<double>(kFilterSize, 0));
  f.input.assign(n, std::vector<double>(n, 0));
  for (size_t i = 0; i + 1 < n; ++i) {
    double distance = 1;
    for (size_t l = 0; l + 1 < n; ++l) distance *= l == i ? 1 : points[i] - points[l];
    double power = 1;
    for (size_t j = 0; j < std::max<size_t>(t, kFilterSize); ++j, power *= points[i]) {
      if (j < t) f.output[j][i] = power;
      if (j < kFilterSize) f.filter[i][j] = power / distance;
    }
    const auto row = monic(points, i);
    std::copy(row.begin(), row.end(), f.input[i].begin());
  }
  f.output[t - 1][n - 1] = 1;
  f.filter[n - 1][kFilterSize - 1] = 1;
  const auto last = monic(points, n);
  std::copy(last.begin(), last.end(), f.input[n - 1].begin());
  return f;
}

std::optional<rewrite::SlidingWindow> winograd_window(const OpContext& context) {
  const auto& c = context.contraction();
  if (!c || c->nest.outer_points() == 0 || c->nest.reduce_points() == 0) return std::nullopt;
  const ContractionFacts& facts = contraction_facts(context);
  if (facts.wide || !facts.weights_a) return std::nullopt;
  return rewrite::match_window(*c, kFilterSize);
}

int64_t WinogradPlan::panels() const {
  return ceil_div(rows * tile_columns, nr);
}
int64_t WinogradPlan::input_elements() const {
  return round_up(places() * plane, 16);
}
int64_t WinogradPlan::product_elements() const {
  return round_up(places() * mr * pitch, 16);
}
int64_t WinogradPlan::phase_elements() const {
  return round_up(patch * tile * phase, 16);
}
int64_t WinogradPlan::scratch_elements() const {
  return input_elements() + product_elements() + phase_elements() + line;
}

WinogradPlan plan_winograd(const OpContext& context, const Schedule& s) {
  const ContractionFacts& facts = contraction_facts(context);
  WinogradPlan p;
  p.c = &*context.contraction();
  p.window = *winograd_window(context);
  p.lanes = facts.lanes;
  p.tile = s.at("tile");
  p.patch = p.tile + kFilterSize - 1;
  const auto extent = [&](int axis) { return p.c->nest.extents[static_cast<size_t>(axis)]; };
  p.m = facts.m;
  p.channels = p.c->extent(p.window.channels);
  p.height = extent(p.window.row);
  p.width = extent(p.window.column);
  p.tile_rows = ceil_div(p.height, p.tile);
  p.tile_columns = ceil_div(p.width, p.tile);
  p.all_rows = p.tile_rows * p.c->extent(p.window.images);
  p.rows = std::min(s.at("rows"), p.all_rows);
  p.row_blocks = ceil_div(p.all_rows, p.rows);
  p.mr = s.at("mr");
  p.nv = s.at("nv");
  p.nr = p.nv * p.lanes;
  p.kc = s.at("kc") == 0 ? p.channels : std::min(p.channels, s.at("kc"));
  p.m_tiles = ceil_div(p.m, p.mr);
  p.block_m = ceil_div(p.m_tiles, s.at("mblocks"));
  p.m_blocks = ceil_div(p.m_tiles, p.block_m);
  // Whole vectors are stored for each row of tiles: the last one may reach beyond its tiles.
  p.pitch = std::max(p.panels() * p.nr,
                     (p.rows - 1) * p.tile_columns + round_up(p.tile_columns, p.lanes));
  // Not a whole number of KiB apart, or lines of neighbours fall into the same few sets of L1.
  if (p.pitch % 256 == 0) p.pitch += 16;
  p.plane = p.channels * p.pitch;
  if (p.plane % 256 == 0) p.plane += 16;
  p.phase = round_up(p.tile_columns, p.lanes) + p.lanes;
  p.line = round_up(p.phase * p.tile, 16);
  return p;
}

}  // namespace kernelwright::expert

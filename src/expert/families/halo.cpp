// SPDX-License-Identifier: Apache-2.0
#include "expert/families/halo.h"

#include <algorithm>
#include <cstdlib>

#include "expert/interior.h"

namespace kernelwright::expert {

using graph::Affine;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using rewrite::Nest;

namespace {

// One dimension of the image: place = step * output axis + dilation * tap axis + some constant.
struct Dimension {
  int output = -1, tap = -1;  // -1: only one output, or a window of one
  int64_t step = 1, dilation = 1;
};

int64_t at(const Affine& affine, int axis) {
  return axis < 0 ? 0 : affine.coefficients[static_cast<size_t>(axis)];
}

// The dimension that a condition bounds; nullopt when it is not of that form.
std::optional<Dimension> dimension_of(const Nest& nest, const Affine& bound) {
  Dimension d;
  for (int a = 0; a < nest.rank(); ++a) {
    if (at(bound, a) == 0) continue;
    int& axis = a < nest.outer ? d.output : d.tap;
    if (axis >= 0) return std::nullopt;
    axis = a;
  }
  if (d.output < 0) return std::nullopt;
  const int64_t step = at(bound, d.output), dilation = at(bound, d.tap);
  if (d.tap >= 0 && (step < 0) != (dilation < 0)) return std::nullopt;
  d.step = std::abs(step);
  d.dilation = d.tap >= 0 ? std::abs(dilation) : 1;
  // Else an element of the image may be named by no single axis.
  if (d.step != 1 && d.dilation != 1) return std::nullopt;
  return d;
}

bool agree(const Dimension& a, const Dimension& b) {
  return a.output == b.output && a.tap == b.tap && a.step == b.step && a.dilation == b.dilation;
}

// Whether an address moves along the dimension as its places do.
bool follows(const Affine& address, const Dimension& d) {
  return d.tap < 0 || at(address, d.output) * d.dilation == at(address, d.tap) * d.step;
}

// The place as one axis: the output's number stands for it.
void name_place(const Dimension& d, std::vector<Expr>& axes) {
  const bool by_tap = d.tap >= 0 && d.dilation == 1;
  axes[static_cast<size_t>(d.output)] = by_tap ? graph::integer(0) : graph::axis(d.output);
  if (d.tap >= 0)
    axes[static_cast<size_t>(d.tap)] = by_tap ? graph::axis(d.output) : graph::integer(0);
}

Expr place(const Dimension& d) {
  Expr out = graph::axis(d.output) * graph::integer(d.step);
  return d.tap < 0 ? out : out + graph::axis(d.tap) * graph::integer(d.dilation);
}

int64_t extent(const Nest& nest, int axis) {
  return axis < 0 ? 1 : nest.extents[static_cast<size_t>(axis)];
}

int64_t span(const Nest& nest, const Dimension& d) {
  return (extent(nest, d.tap) - 1) * d.dilation + 1;
}

// The only select of a body, round a load; null when there is none, or another.
Expr padded_load(const Expr& body) {
  Expr found;
  bool only = true;
  graph::rewrite(body, [&](const Expr& node) -> Expr {
    if (node->op != ExprOp::kSelect) return nullptr;
    only = only && (!found || graph::same(found, node));
    found = node;
    return nullptr;
  });
  if (!found || !only || found->operands[1]->op != ExprOp::kLoad ||
      found->operands[2]->op != ExprOp::kConst || found->kind != graph::ScalarKind::kReal)
    return nullptr;
  return found;
}

}  // namespace

std::optional<Halo> halo_of(const Nest& nest) {
  const Expr load = padded_load(nest.body);
  if (!load || nest.outer == 0) return std::nullopt;
  const auto bounds = bounds_of(load->operands[0], nest.rank());
  const auto address = rewrite::affine_of(nest, load->operands[1]->operands[0]);
  if (!bounds || !address) return std::nullopt;
  std::vector<Dimension> dimensions;
  for (const Affine& bound : *bounds) {
    const auto d = dimension_of(nest, bound);
    if (!d || !follows(*address, *d)) return std::nullopt;
    auto known = std::find_if(dimensions.begin(), dimensions.end(),
                              [&](const Dimension& o) { return o.output == d->output; });
    if (known == dimensions.end())
      dimensions.push_back(*d);
    else if (!agree(*known, *d))
      return std::nullopt;
  }
  const int across = nest.outer - 1;
  std::stable_sort(dimensions.begin(), dimensions.end(),
                   [&](const Dimension& a, const Dimension&) { return a.output == across; });
  if (dimensions.empty() || dimensions.size() > 2 || dimensions[0].output != across)
    return std::nullopt;
  const Dimension* down = dimensions.size() > 1 ? &dimensions[1] : nullptr;
  // Other taps would need an image each.
  for (int a = nest.outer; a < nest.rank(); ++a)
    if (a != dimensions[0].tap && !(down && a == down->tap) && at(*address, a) != 0)
      return std::nullopt;

  Halo halo;
  halo.across = across;
  halo.column_step = dimensions[0].step;
  halo.column_span = span(nest, dimensions[0]);
  halo.columns = (extent(nest, across) - 1) * halo.column_step + halo.column_span;
  halo.extents.assign(nest.extents.begin(), nest.extents.begin() + nest.outer);
  halo.extents[static_cast<size_t>(across)] = halo.columns;
  std::vector<Expr> axes;
  for (int a = 0; a < nest.rank(); ++a) axes.push_back(graph::axis(a));
  name_place(dimensions[0], axes);
  Expr row = graph::integer(0);
  if (down) {
    halo.down = down->output;
    halo.row_step = down->step;
    halo.row_span = span(nest, *down);
    halo.extents[static_cast<size_t>(halo.down)] = halo.rows_of(extent(nest, halo.down));
    name_place(*down, axes);
    row = place(*down);
  }
  halo.operand = graph::simplify_index(graph::substitute_axes(load, axes), halo.extents);
  halo.outside = load->operands[2];
  const Expr element = graph::load(Halo::kTensor, load->kind, {row, place(dimensions[0])});
  halo.body = graph::rewrite(nest.body, [&](const Expr& node) -> Expr {
    return node->op == ExprOp::kSelect ? element : nullptr;
  });
  return halo;
}

}  // namespace kernelwright::expert

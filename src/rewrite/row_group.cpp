// SPDX-License-Identifier: Apache-2.0
#include "rewrite/row_group.h"

#include <algorithm>

namespace kernelwright::rewrite {

using graph::Affine;
using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;

namespace {

void drop_unit_axes(Nest& nest) {
  std::vector<Expr> axes;
  std::vector<int64_t> extents;
  int outer = 0;
  for (int a = 0; a < nest.rank(); ++a) {
    const int64_t extent = nest.extents[static_cast<size_t>(a)];
    if (extent == 1) {
      axes.push_back(graph::integer(0));
      continue;
    }
    axes.push_back(graph::axis(static_cast<int>(extents.size())));
    extents.push_back(extent);
    if (a < nest.outer) ++outer;
  }
  for (Expr* expr : {&nest.body, &nest.finish, &nest.store}) {
    if (*expr) *expr = graph::simplify_index(graph::substitute_axes(*expr, axes), extents);
  }
  nest.extents = extents;
  nest.outer = outer;
}

Nest group_nest(const graph::Stage& stage, const std::vector<graph::StageTensor>& tensors) {
  Nest nest = make_nest(stage, tensors, false);
  drop_unit_axes(nest);
  return nest;
}

// Splits a group axis (outer axes first, then row axes) in every member.
void split_group(RowGroup& group, int axis, int64_t inner) {
  auto& extents = axis < static_cast<int>(group.outer.size()) ? group.outer : group.row;
  const size_t at = static_cast<size_t>(axis) - (&extents == &group.row ? group.outer.size() : 0);
  for (auto& member : group.members) {
    if (axis < member.nest.rank()) split_axis(member.nest, axis, inner);
  }
  extents[at] /= inner;
  extents.insert(extents.begin() + static_cast<std::ptrdiff_t>(at) + 1, inner);
}

std::vector<Expr> loads_of(const Nest& nest, int tensor) {
  std::vector<Expr> found;
  for (const Expr& expr : {nest.body, nest.finish}) {
    if (!expr) continue;
    graph::visit(expr, [&](const ExprNode& node) {
      if (node.op == ExprOp::kLoad && node.tensor == tensor) found.push_back(node.operands[0]);
    });
  }
  return found;
}

// One try at giving every axis of `nest` its group axis. kSplit: an axis was split on either side,
// try again.
enum class Match { kFits, kSplit, kFails };

Match match_axes(RowGroup& group, Nest& nest, std::vector<int>& to_group) {
  const int outer_count = static_cast<int>(group.outer.size());
  std::vector<int64_t> extents = group.outer;
  extents.insert(extents.end(), group.row.begin(), group.row.end());
  to_group.assign(static_cast<size_t>(nest.rank()), -1);
  auto pair_up = [&](int mine, int theirs) {
    const int64_t e = nest.extents[static_cast<size_t>(mine)],
                  g = extents[static_cast<size_t>(theirs)];
    if (e == g) {
      if (to_group[static_cast<size_t>(mine)] != -1 &&
          to_group[static_cast<size_t>(mine)] != theirs)
        return Match::kFails;
      to_group[static_cast<size_t>(mine)] = theirs;
      return Match::kFits;
    }
    if (e > g && e % g == 0) {
      split_axis(nest, mine, g);
      return Match::kSplit;
    }
    if (g > e && g % e == 0) {
      split_group(group, theirs, e);
      return Match::kSplit;
    }
    return Match::kFails;
  };
  for (const auto& member : group.members) {
    auto stored = affine_of(member.nest, member.nest.store);
    if (!stored) return Match::kFails;
    for (const Expr& index : loads_of(nest, member.nest.output)) {
      auto mine = affine_of(nest, index);
      if (!mine || mine->constant != stored->constant) return Match::kFails;
      for (int a = 0; a < nest.rank(); ++a) {
        const int64_t c = mine->coefficients[static_cast<size_t>(a)];
        if (c == 0) continue;
        int theirs = -1;
        for (int g = 0; g < member.nest.rank(); ++g) {
          const bool stores = g < member.nest.outer;
          if (stores && stored->coefficients[static_cast<size_t>(g)] == c) theirs = g;
        }
        if (theirs < 0) return Match::kFails;
        const Match match = pair_up(a, theirs);
        if (match != Match::kFits) return match;
      }
    }
  }
  // Axes that no load of the group mentions run along the row, in its order.
  std::vector<int> mine, theirs;
  for (int a = 0; a < nest.rank(); ++a) {
    if (to_group[static_cast<size_t>(a)] < 0) mine.push_back(a);
  }
  for (int g = outer_count; g < static_cast<int>(extents.size()); ++g) {
    if (std::find(to_group.begin(), to_group.end(), g) == to_group.end()) theirs.push_back(g);
  }
  if (mine.empty()) return Match::kFits;
  if (theirs.empty()) return Match::kFails;
  while (!mine.empty() && !theirs.empty()) {
    const Match match = pair_up(mine.back(), theirs.back());
    if (match != Match::kFits) return match;
    mine.pop_back();
    theirs.pop_back();
  }
  return mine.empty() ? Match::kFits : Match::kFails;
}

}  // namespace

const RowGroup::Member* RowGroup::find(int tensor) const {
  for (const Member& member : members) {
    if (member.nest.output == tensor) return &member;
  }
  return nullptr;
}

int64_t RowGroup::rows() const {
  return graph::element_count(outer);
}
int64_t RowGroup::row_length() const {
  return graph::element_count(row);
}

std::optional<RowGroup> start_row_group(const graph::Stage& stage,
                                        const std::vector<graph::StageTensor>& tensors) {
  if (stage.combiner == Combiner::kNone) return std::nullopt;
  RowGroup group;
  RowGroup::Member member{group_nest(stage, tensors), true, true};
  group.outer.assign(member.nest.extents.begin(), member.nest.extents.begin() + member.nest.outer);
  group.row.assign(member.nest.extents.begin() + member.nest.outer, member.nest.extents.end());
  group.members.push_back(std::move(member));
  return group;
}

bool join_row_producer(RowGroup& group, const graph::Stage& stage,
                       const std::vector<graph::StageTensor>& tensors) {
  if (stage.combiner != Combiner::kNone) return false;
  RowGroup trial = group;
  Nest nest = group_nest(stage, tensors);
  for (int round = 0; round < 12; ++round) {
    std::vector<int64_t> extents = trial.outer;
    extents.insert(extents.end(), trial.row.begin(), trial.row.end());
    // Where members read it, in group axes; all must agree.
    std::optional<Affine> read;
    for (const auto& member : trial.members) {
      for (const Expr& index : loads_of(member.nest, stage.output)) {
        auto affine = affine_of(member.nest, index);
        if (!affine || affine->coefficients.size() != extents.size()) return false;
        if (read &&
            (read->coefficients != affine->coefficients || read->constant != affine->constant))
          return false;
        read = affine;
      }
    }
    const auto store = affine_of(nest, nest.store);
    if (!read || !store || read->constant != 0) return false;
    if (nest.outer_points() != graph::element_count(extents)) return false;
    std::vector<int> order(extents.size(), -1);
    bool split = false;
    for (size_t g = 0; g < extents.size() && !split; ++g) {
      int mine = -1;
      for (int a = 0; a < nest.rank(); ++a) {
        if (store->coefficients[static_cast<size_t>(a)] == read->coefficients[g]) mine = a;
      }
      if (mine < 0) continue;
      const int64_t e = nest.extents[static_cast<size_t>(mine)];
      if (e == extents[g]) {
        order[g] = mine;
      } else if (e > extents[g] && e % extents[g] == 0) {
        split_axis(nest, mine, extents[g]);
        split = true;
      } else if (extents[g] > e && extents[g] % e == 0) {
        split_group(trial, static_cast<int>(g), e);
        split = true;
      } else {
        return false;
      }
    }
    if (split) continue;
    if (order.size() != static_cast<size_t>(nest.rank()) ||
        std::find(order.begin(), order.end(), -1) != order.end())
      return false;
    permute_axes(nest, order);
    trial.members.insert(trial.members.begin(), RowGroup::Member{std::move(nest), false, false});
    group = std::move(trial);
    return true;
  }
  return false;
}

bool join_row_group(RowGroup& group, const graph::Stage& stage,
                    const std::vector<graph::StageTensor>& tensors) {
  RowGroup trial = group;
  Nest nest = group_nest(stage, tensors);
  std::vector<int> to_group;
  Match match = Match::kSplit;
  for (int round = 0; round < 12 && match == Match::kSplit; ++round)
    match = match_axes(trial, nest, to_group);
  if (match != Match::kFits) return false;
  const int outer_count = static_cast<int>(trial.outer.size());
  const int all = outer_count + static_cast<int>(trial.row.size());
  const bool reduces = nest.combiner != Combiner::kNone;
  const bool per_row = !reduces && nest.rank() == outer_count;
  if (nest.rank() != (per_row ? outer_count : all)) return false;
  std::vector<int> order(to_group.size(), -1);
  for (int a = 0; a < nest.rank(); ++a) {
    const int g = to_group[static_cast<size_t>(a)];
    if (g >= nest.rank() || order[static_cast<size_t>(g)] != -1) return false;
    order[static_cast<size_t>(g)] = a;
    if (reduces && (a < nest.outer) != (g < outer_count)) return false;
  }
  permute_axes(nest, order);
  // Every read of the group must be of the point at hand.
  for (const auto& member : trial.members) {
    auto stored = affine_of(member.nest, member.nest.store);
    for (const Expr& index : loads_of(nest, member.nest.output)) {
      auto mine = affine_of(nest, index);
      if (!mine || !stored || mine->constant != stored->constant) return false;
      const size_t common = std::max(mine->coefficients.size(), stored->coefficients.size());
      mine->coefficients.resize(common, 0);
      stored->coefficients.resize(common, 0);
      if (mine->coefficients != stored->coefficients) return false;
    }
  }
  trial.members.push_back({std::move(nest), reduces, reduces || per_row});
  group = std::move(trial);
  return true;
}

void merge_row_group(RowGroup& group) {
  auto merge_side = [&](std::vector<int64_t>& extents, int first) {
    for (int a = 0; a + 1 < static_cast<int>(extents.size());) {
      bool fits = true;
      for (const auto& member : group.members) {
        if (first + a + 1 < member.nest.rank()) fits = fits && can_merge(member.nest, first + a);
      }
      if (!fits) {
        ++a;
        continue;
      }
      for (auto& member : group.members) {
        if (first + a + 1 < member.nest.rank()) merge(member.nest, first + a);
      }
      extents[static_cast<size_t>(a)] *= extents[static_cast<size_t>(a) + 1];
      extents.erase(extents.begin() + a + 1);
      if (a > 0) --a;
    }
  };
  merge_side(group.row, static_cast<int>(group.outer.size()));
  merge_side(group.outer, 0);
}

}  // namespace kernelwright::rewrite

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "expert/family.h"

namespace kernelwright::expert::cuda {

// What a kernel without reductions makes: nests over the same points, one tensor each, in order. A
// later one may read an earlier one's element at hand.
struct PointGroup {
  std::vector<int64_t> extents;
  std::vector<rewrite::Nest> members;

  int inner() const { return static_cast<int>(extents.size()) - 1; }
  int64_t points() const { return graph::element_count(extents); }
};

// Brings nests without reductions to common axes, at least one; nullopt when they have none.
std::optional<PointGroup> point_group(std::vector<rewrite::Nest> nests);

// The most neighbours along the innermost axis that a thread can take: stores must be vectors.
int64_t widest_vector(const OpContext& context, const PointGroup& group);

// Knobs: `vector` (neighbours per access), `steps` (accesses per thread, all loads first), `block`
// (threads).
ScheduleSpace point_space(const OpContext& context, const PointGroup& group);
double predict_points(const OpContext& context, const PointGroup& group, const Schedule& schedule);
void emit_points(const OpContext& context, const PointGroup& group, const Schedule& schedule,
                 const std::string& name, ProgramBuilder& builder);

}  // namespace kernelwright::expert::cuda

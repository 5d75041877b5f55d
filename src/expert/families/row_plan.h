// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "expert/families/reciprocal.h"
#include "expert/family.h"
#include "rewrite/row_group.h"

namespace kernelwright::expert {

// Members of a row group that are a mean of the row's elements and the sum of the squares of what
// they deviate from it.
struct MomentPair {
  size_t mean = 0, squares = 0;
};

// A row group as it will be emitted: which pass over the row makes what.
struct Passes {
  rewrite::RowGroup group;
  std::vector<int> pass;   // per member
  std::vector<bool> kept;  // members along the row that a later pass reads
  int count = 1;
  std::optional<MomentPair> moments;  // made in one pass

  // Nothing but reductions in one pass, and what follows from their results.
  bool only_reduces() const;
};

// What several passes need of the row.
enum class Keep : uint8_t {
  kNothing,  // computed again in each pass
  kValues,   // members along the row and dear subexpressions are kept
  kLoads,    // and loaded elements too
};

// `at_once`: a mean and the squares about it share a pass (row_moments.h), where there are such.
Passes plan_passes(const OpContext& context, Keep keep, bool at_once = false);

// Whether keeping makes a difference to an op.
bool keeps_values(const OpContext& context);

// Whether a member of a group reads a tensor.
bool reads(const rewrite::RowGroup::Member& member, int tensor);
bool is_output(const OpContext& context, int tensor);
// Whether a row group is what a row family can take: rows and points in them;
// an arg-reduction only by itself, and where the emitter knows them.
bool has_rows(const OpContext& context, bool arg_too = false);
// Tensors that the group loads along its rows, whose rows lie one behind another in the order of
// the group's outer points: while one row is worked on, the next can be asked for.
std::vector<int> following_rows(const OpContext& context);
// In which pass that is best done: the first that reads nothing from afar and, if there is one,
// writes nothing either; or the only one.
int asking_pass(const Passes& plan);
// Whether a value is the same for all elements of a row, for expressions of the group's members.
SharedBy shared_by_row(const rewrite::RowGroup& group);
// How many elements apart neighbours along an axis lie in the farthest operand;
// 1 is best.
double lane_stride(const OpContext& context, int axis);

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "expert/family.h"
#include "rewrite/row_group.h"

namespace kernelwright::expert {

// A row group as it will be emitted: which pass over the row makes what.
struct Passes {
  rewrite::RowGroup group;
  std::vector<int> pass;   // per member
  std::vector<bool> kept;  // members along the row that a later pass reads
  int count = 1;

  // Nothing but reductions in one pass, and what follows from their results.
  bool only_reduces() const;
};

// What several passes need of the row.
enum class Keep : uint8_t {
  kNothing,  // computed again in each pass
  kValues,   // members along the row and dear subexpressions are kept
  kLoads,    // and loaded elements too
};

Passes plan_passes(const OpContext& context, Keep keep);

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
// How many elements apart neighbours along an axis lie in the farthest operand;
// 1 is best.
double lane_stride(const OpContext& context, int axis);

}  // namespace kernelwright::expert

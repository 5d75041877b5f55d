// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/result.h"
#include "graph/stage.h"

namespace kernelwright::graph {

// A recurrence: stages that stand next to each other with the same Stage::loop. axis(0) of each is
// the step, of one extent for all. They are carried out step by step: for every step in order, for
// every stage in order, the slice of its output at that step. A tensor of the loop may be loaded at
// step axis(0) by later stages of the loop, and at axis(0) - 1 by any of them (under a condition
// that leaves step 0 out). All steps are kept: after the loop its tensors are like any other.
struct Loop {
  size_t first = 0, last = 0;  // stages [first, last)
  int64_t steps = 0;
};
std::vector<Loop> loops_of(const std::vector<Stage>& stages,
                           const std::vector<StageTensor>& tensors);

// How many steps back a load of a tensor of its own loop looks: 0 or 1; -1 for any other index.
int steps_back(const ExprNode& load);

// The loop's own tensors that its stages read a step back.
std::vector<int> read_back(const std::vector<Stage>& loop);

// Whether every loop keeps to what is said above; kInternal when one does not.
Status check_loops(const std::vector<Stage>& stages, const std::vector<StageTensor>& tensors);

// Which tensors reach an output or a state, given the stages; a loop reads what its last step made.
std::vector<bool> live_tensors(const std::vector<Stage>& stages,
                               const std::vector<StageTensor>& tensors);

}  // namespace kernelwright::graph

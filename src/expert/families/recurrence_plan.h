// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "expert/family.h"

namespace kernelwright::expert {

// One cell of a recurrence (a direction): sums over the state of the step before, some gates for
// each hidden unit, and what is made of them point by point. axis(0) is the step, axis(1) the
// batch; axis(2) of a point is the unit.
struct RecurrentCell {
  // The sum's factors: the state at axes 0, 1 and 3 (the unit summed over), and the weights at axes
  // 2 (gate * units + unit) and 3.
  graph::Expr state, weight;
  // Tensors that are made, in order. A load of stand_in(q) is the sum of gate q, a load of
  // stand_in(kMostGates + i) the value of points[i] at this step.
  struct Point {
    int output = -1;
    bool stored = false;
    graph::Expr value;
  };
  std::vector<Point> points;
};

struct RecurrencePlan {
  static constexpr int64_t kMostGates = 8;
  int64_t batch = 0, units = 0, depth = 0, gates = 0;  // depth: of the sums
  std::vector<RecurrentCell> cells;                    // of the same extents
  int first_stand_in = 0;  // tensors from here on are no tensors of the graph
  int stand_in(int64_t number) const { return first_stand_in + static_cast<int>(number); }
};

// A loop as cells; nullopt when it is none, or is not computed in f32.
std::optional<RecurrencePlan> plan_recurrence(const OpContext& context);

}  // namespace kernelwright::expert

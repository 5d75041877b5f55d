// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "graph/analysis.h"
#include "program/step_profile.h"

namespace kernelwright::expert {

// What holds an op back, as far as its profile tells.
enum class Limit : uint8_t { kUnknown, kMemory, kArithmetic };
const char* limit_name(Limit limit);  // "memory"; "" when unknown

// One op of a profiled program: its steps together.
struct OpProfile {
  double seconds = 0;
  std::optional<double> cycles = {}, instructions = {}, cache_misses = {};  // where counted
};
// `op_of_step`: the op that each step belongs to, -1 for none. Empty when the two do not fit.
std::vector<OpProfile> profile_ops(const std::vector<program::StepProfile>& steps,
                                   const std::vector<int>& op_of_step, size_t ops);

// The roofline's word first: what takes half of the time or more at the machine's ceiling, the
// memory traffic as counted where it was. Failing that the processor's: many instructions a cycle
// are arithmetic, few are waiting for memory. `work`: least bytes and operations of the op.
Limit limit_of(const OpProfile& profile, const graph::Work& work, const graph::Ceilings& ceilings);

// What can still be won on the op: its time above the least that `work` takes, and never less than
// a tenth of it, since the ceilings are no promise.
double headroom(const OpProfile& profile, const graph::Work& work, const graph::Ceilings& ceilings);

}  // namespace kernelwright::expert

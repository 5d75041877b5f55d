// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "target/cpu/runtime/counters.h"
#include "target/cpu/runtime/plan.h"
#include "target/cpu/runtime/pool.h"

namespace kernelwright::runtime {

// Where a call's time went.
struct StepRecord {
  double ms = 0;
  kw_counts counts = kNothingCounted;
};

// Runs a plan on the pool, whose lock the caller holds. `slots` is the pointer table, one per
// buffer; repeats may exchange entries, and they are put back at the end. Allocates nothing.
struct Execution {
  Pool& pool;
  std::vector<std::byte*>& slots;
  const double* scalars;
  std::byte* scratch;  // scratch_stride bytes per worker
  int64_t scratch_stride;
  StepRecord* records = nullptr;  // of each op of the plan, by index, added to; null: none
};
void execute(Plan& plan, const Execution& execution);

}  // namespace kernelwright::runtime

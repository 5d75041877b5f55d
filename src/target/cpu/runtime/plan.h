// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "graph/tensor_type.h"
#include "kernelwright/kernel_abi.h"
#include "program/program.h"
#include "target/runtime/steps.h"

namespace kernelwright::runtime {

// A launch with everything worked out that does not change from call to call. `pointers` and
// `values` are what the kernel sees; the executor fills in the rest just before the launch.
struct LaunchOp {
  kw_kernel kernel = nullptr;
  int64_t total = 0;
  int64_t grain = 0;  // 0: the pool's choice
  bool team = false;
  int64_t scratch_bytes = 0;
  std::vector<SlotRef> buffers;
  std::vector<kw_value> values;
  struct ScalarPatch {
    uint32_t value, scalar;
    graph::DType dtype;
  };
  struct StepPatch {
    uint32_t value, depth;
    graph::DType dtype;
  };
  std::vector<ScalarPatch> scalars;
  std::vector<StepPatch> steps;
  std::vector<void*> pointers;
};

using Op = std::variant<LaunchOp, MoveOp, RepeatBegin, RepeatEnd>;

// Steps flattened into one list, walked by index.
struct Plan {
  std::vector<Op> ops;
  std::vector<uint32_t> swapped;  // slots that some repeat exchanges
  std::vector<std::byte*> kept;   // room for what those held at the start
  int64_t worker_scratch = 0;     // largest of any launch
  int scalar_count = 0;           // scalar inputs read: index + 1
};

using Kernels = std::map<std::string, kw_kernel>;

// Flattens validated steps. `kernels` holds every kernel they name.
Result<Plan> compile_plan(const program::Program& program, const std::vector<program::Step>& steps,
                          const Kernels& kernels);

}  // namespace kernelwright::runtime

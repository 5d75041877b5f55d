// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "target/cuda/runtime/kernel_module.h"
#include "target/cuda/runtime/move_kernel.h"
#include "target/cuda/runtime/tensor_map.h"
#include "target/runtime/steps.h"

namespace kernelwright::cuda {

using runtime::SlotRef;

// Bytes of a buffer that a step reads or writes.
struct Touch {
  uint32_t slot = 0;
  int64_t begin = 0, end = 0;  // end: INT64_MAX where the program does not say
  bool write = false;
};

// A tensor map parameter. Encoded maps are kept for the last few addresses, so that a swap in a
// repeat and callers that alternate between buffers cost nothing.
struct MapParam {
  static constexpr size_t kKept = 4;
  uint32_t param = 0;
  SlotRef ref;
  TensorMapSpec spec;
  std::array<Ptr, kKept> addresses = {};
  std::vector<TensorMapBlob> blobs = std::vector<TensorMapBlob>(kKept);
  size_t next = 0;
};

// A launch with everything worked out that does not change from call to call. `params` points into
// `words` and into the maps' blobs.
struct LaunchOp {
  std::string kernel, place;  // place: "run[2].body[0]"
  Function function = nullptr;
  LaunchConfig config;                      // without stream and attributes
  std::vector<LaunchAttribute> attributes;  // the pdl attribute comes last
  bool pdl = false;
  bool alone = false;  // nothing may run beside it: it expects its blocks to be resident
  std::vector<uint64_t> words;
  std::vector<void*> params;
  struct PointerParam {
    uint32_t word = 0;
    SlotRef ref;
  };
  std::vector<PointerParam> pointers;
  std::vector<MapParam> maps;
  struct ScalarPatch {
    uint32_t word, scalar;
    graph::DType dtype;
  };
  struct StepPatch {
    uint32_t word, depth;
    graph::DType dtype;
  };
  std::vector<ScalarPatch> scalars;
  std::vector<StepPatch> steps;
  std::vector<Touch> touches;
};

struct MoveStep {
  std::string place;
  SlotRef to, from;
  MovePlan move;
  bool fill = false;
  std::vector<Touch> touches;
};

using Op = std::variant<LaunchOp, MoveStep, runtime::RepeatBegin, runtime::RepeatEnd>;

// Steps flattened into one list, walked by index.
struct Plan {
  std::vector<Op> ops;
  std::vector<uint32_t> swapped;  // slots that some repeat exchanges
  std::vector<Ptr> kept;          // room for what those held at the start
  int scalar_count = 0;           // scalar inputs read: index + 1
  int64_t executed = 0;           // launches, fills and copies of one call, repeats unrolled
  bool pdl = false;               // some launch has it
  bool move_kernel = false;       // some fill or copy needs it
};

// Flattens validated steps; `place` is "run" or "prepare". Looks every kernel up in `module` and
// refuses, by name and number, what this device cannot launch: arguments that do not fit the
// kernel's parameters, too many threads, too much shared memory, clusters and cooperative grids
// that do not fit. Raises the kernels' shared memory limits.
Result<Plan> compile_plan(const Driver& driver, const DeviceInfo& device,
                          const program::Program& program, const std::vector<program::Step>& steps,
                          const char* place, KernelModule& module);

}  // namespace kernelwright::cuda

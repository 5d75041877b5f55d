// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "target/runtime/steps.h"

namespace kernelwright::cuda {

// The parameter of move.cu's kernel, field for field.
struct MoveArgs {
  uint64_t to = 0, from = 0;   // device addresses; from 0: a fill
  uint64_t low = 0, high = 0;  // a fill's 16 bytes
  int64_t count = 0;           // units
  int32_t rank = 0, unit = 1;  // bytes of a unit: 1, 2, 4, 8, 16
  int64_t extents[8] = {}, to_strides[8] = {}, from_strides[8] = {};
};

// How a fill or a copy is carried out: one contiguous run by the driver, anything else by the
// kernel.
enum class MoveKind { kMemset, kMemcpy, kKernel };

struct MovePlan {
  MoveKind kind = MoveKind::kKernel;
  int64_t bytes = 0;                      // memset, memcpy
  unsigned value = 0, element_bytes = 1;  // memset
  MoveArgs args;                          // kernel; addresses are filled in at the launch
  unsigned blocks = 1;                    // of kMoveThreads threads
};
inline constexpr unsigned kMoveThreads = 256;

// `op` moves at least one byte.
MovePlan plan_move(const runtime::MoveOp& op);

}  // namespace kernelwright::cuda

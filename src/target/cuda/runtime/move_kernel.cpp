// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/move_kernel.h"

#include <algorithm>
#include <cstring>

namespace kernelwright::cuda {
namespace {

// The fill's element, repeated over 16 bytes.
void repeat_pattern(const runtime::MoveOp& op, MoveArgs& args) {
  unsigned char bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = op.pattern[i % op.pattern_bytes];
  std::memcpy(&args.low, bytes, 8);
  std::memcpy(&args.high, bytes + 8, 8);
}

// Fewest bytes that hold the whole pattern: 1 for zeros and -1, 4 for a double of two like halves.
int64_t period(const runtime::MoveOp& op) {
  int64_t bytes = op.pattern_bytes;
  while (bytes > 1 &&
         std::memcmp(op.pattern, op.pattern + bytes / 2, static_cast<size_t>(bytes / 2)) == 0)
    bytes /= 2;
  return bytes;
}

}  // namespace

MovePlan plan_move(const runtime::MoveOp& op) {
  MovePlan plan;
  bool one_run = op.runs == 1;
  if (one_run && !op.fill) {
    plan.kind = MoveKind::kMemcpy;
    plan.bytes = op.run_bytes;
    return plan;
  }
  if (one_run && period(op) <= 4) {
    plan.kind = MoveKind::kMemset;
    plan.bytes = op.run_bytes;
    // The widest element that fits: a byte-wise memset of much memory is slower.
    plan.element_bytes = static_cast<unsigned>(std::min<int64_t>(op.pattern_bytes, 4));
    std::memcpy(&plan.value, op.pattern, plan.element_bytes);
    return plan;
  }
  MoveArgs& args = plan.args;
  if (op.fill) repeat_pattern(op, args);
  // The widest unit that divides every run, stride and offset; buffers themselves are 64-byte
  // aligned.
  auto bits = static_cast<uint64_t>(op.run_bytes) | static_cast<uint64_t>(op.to.offset);
  if (!op.fill) bits |= static_cast<uint64_t>(op.from.offset);
  for (int64_t stride : op.to_strides) bits |= static_cast<uint64_t>(stride);
  if (!op.fill)
    for (int64_t stride : op.from_strides) bits |= static_cast<uint64_t>(stride);
  args.unit = 16;
  while (bits % static_cast<uint64_t>(args.unit) != 0) args.unit /= 2;
  auto add = [&](int64_t extent, int64_t to, int64_t from) {
    if (extent == 1) return;
    args.extents[args.rank] = extent;
    args.to_strides[args.rank] = to;
    args.from_strides[args.rank] = from;
    ++args.rank;
  };
  for (size_t d = 0; d < op.extents.size(); ++d)
    add(op.extents[d], op.to_strides[d], op.from_strides[d]);
  add(op.run_bytes / args.unit, args.unit, args.unit);
  args.count = op.runs * (op.run_bytes / args.unit);
  plan.blocks = static_cast<unsigned>(
      std::clamp<int64_t>((args.count + kMoveThreads - 1) / kMoveThreads, 1, 4096));
  return plan;
}

}  // namespace kernelwright::cuda

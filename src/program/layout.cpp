// SPDX-License-Identifier: Apache-2.0
#include "program/layout.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "program/limits.h"
#include "program/liveness.h"

namespace kernelwright::program {
namespace {

Result<int64_t> buffer_bytes(const Buffer& buffer, const Program& program, int64_t alignment) {
  int64_t count = static_cast<int64_t>(graph::dtype_bytes(buffer.dtype));
  for (const SizeExpr& extent : buffer.shape) {
    KW_TRY(int64_t value, evaluate(extent, program.params));
    if (value < 0 || __builtin_mul_overflow(count, value, &count) || count > kMaxWorkspaceBytes)
      return fail(ErrorKind::kInput, fmt::format("buffers.{}: larger than {} GiB", buffer.name,
                                                 kMaxWorkspaceBytes >> 30));
  }
  return (count + alignment - 1) / alignment * alignment;
}

struct Placed {
  int64_t offset;
  int64_t bytes;
  const Liveness::Use* use;
};

// Lowest offset at which `bytes` fit beside everything that lives at the same time. `placed` is
// sorted by offset.
int64_t lowest_fit(const std::vector<Placed>& placed, int64_t bytes, const Liveness::Use& use,
                   const Liveness& liveness) {
  int64_t offset = 0;
  for (const Placed& other : placed) {
    if (other.offset >= offset + bytes) break;
    if (other.offset + other.bytes <= offset || !liveness.overlap(*other.use, use)) continue;
    offset = other.offset + other.bytes;
  }
  return offset;
}

}  // namespace

Result<Layout> lay_out(const Program& program, int64_t alignment) {
  Layout layout;
  std::vector<const Buffer*> scratch;
  for (BufferRole role : {BufferRole::kPacked, BufferRole::kSync, BufferRole::kScratch})
    for (const Buffer& buffer : program.buffers) {
      if (buffer.role != role) continue;
      KW_TRY(int64_t bytes, buffer_bytes(buffer, program, alignment));
      layout.bytes[buffer.name] = bytes;
      if (role == BufferRole::kScratch) {
        scratch.push_back(&buffer);
        continue;
      }
      int64_t& region = role == BufferRole::kPacked ? layout.packed_bytes : layout.sync_bytes;
      layout.offset[buffer.name] = (role == BufferRole::kPacked ? 0 : layout.packed_bytes) + region;
      region += bytes;
      if (layout.total() > kMaxWorkspaceBytes) break;
    }

  // Greedy by size: the largest buffers settle first, the small ones fill the gaps.
  std::stable_sort(scratch.begin(), scratch.end(), [&](const Buffer* a, const Buffer* b) {
    return layout.bytes[a->name] > layout.bytes[b->name];
  });
  Liveness liveness(program);
  std::vector<Placed> placed;
  int64_t base = layout.packed_bytes + layout.sync_bytes;
  for (const Buffer* buffer : scratch) {
    int64_t bytes = layout.bytes[buffer->name];
    const Liveness::Use* use = liveness.find(buffer->name);
    if (!use) {
      layout.offset[buffer->name] = base;  // never touched: needs no room
      layout.bytes[buffer->name] = 0;
      continue;
    }
    int64_t offset = lowest_fit(placed, bytes, *use, liveness);
    Placed entry{offset, bytes, use};
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), entry,
                         [](const Placed& a, const Placed& b) { return a.offset < b.offset; }),
        entry);
    layout.offset[buffer->name] = base + offset;
    layout.scratch_bytes = std::max(layout.scratch_bytes, offset + bytes);
    if (layout.total() > kMaxWorkspaceBytes) break;
  }
  if (layout.total() > kMaxWorkspaceBytes)
    return fail(ErrorKind::kInput,
                fmt::format("workspace is larger than {} GiB", kMaxWorkspaceBytes >> 30));
  return layout;
}

}  // namespace kernelwright::program

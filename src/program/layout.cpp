// SPDX-License-Identifier: Apache-2.0
#include "program/layout.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "program/limits.h"

namespace kernelwright::program {
namespace {

struct Lifetime {
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = -1;
  bool used() const { return last >= 0; }
  bool overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
  void add(int64_t step) {
    first = std::min(first, step);
    last = std::max(last, step);
  }
  void add(const Lifetime& other) {
    first = std::min(first, other.first);
    last = std::max(last, other.last);
  }
};

using Lifetimes = std::map<std::string, Lifetime>;
using Swaps = std::vector<std::pair<std::string, std::string>>;

void visit_args(const std::vector<Arg>& args, int64_t step, Lifetimes& out) {
  for (const Arg& arg : args)
    if (const auto* buffer = std::get_if<BufferArg>(&arg)) out[buffer->buffer].add(step);
}

// A whole top-level step counts as one moment: what a repeat touches lives through all of it.
void visit_step(const Step& step, int64_t at, Lifetimes& out, Swaps& swaps) {
  if (const auto* launch = std::get_if<Launch>(&step.action)) {
    visit_args(launch->args, at, out);
  } else if (const auto* call = std::get_if<LibraryCall>(&step.action)) {
    visit_args(call->args, at, out);
  } else if (const auto* fill = std::get_if<Fill>(&step.action)) {
    out[fill->buffer].add(at);
  } else if (const auto* copy = std::get_if<Copy>(&step.action)) {
    out[copy->from].add(at);
    out[copy->to].add(at);
  } else if (const auto* repeat = std::get_if<Repeat>(&step.action)) {
    for (const Step& inner : repeat->body) visit_step(inner, at, out, swaps);
    for (const auto& pair : repeat->swap) {
      out[pair.first].add(at);
      out[pair.second].add(at);
      swaps.push_back(pair);
    }
  }
}

Lifetimes lifetimes(const Program& program) {
  Lifetimes out;
  Swaps swaps;
  for (size_t i = 0; i < program.run.size(); ++i)
    visit_step(program.run[i], static_cast<int64_t>(i), out, swaps);
  // Names that trade places trade storage: both live as long as either. Chains need more than one
  // pass.
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [a, b] : swaps) {
      Lifetime both = out[a];
      both.add(out[b]);
      for (const std::string& name : {a, b}) {
        Lifetime& own = out[name];
        changed = changed || own.first != both.first || own.last != both.last;
        own = both;
      }
    }
  }
  return out;
}

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
  Lifetime life;
};

// Lowest offset at which `bytes` fit beside everything that lives at the same time. `placed` is
// sorted by offset.
int64_t lowest_fit(const std::vector<Placed>& placed, int64_t bytes, const Lifetime& life) {
  int64_t offset = 0;
  for (const Placed& other : placed) {
    if (!other.life.overlaps(life)) continue;
    if (other.offset >= offset + bytes) break;
    offset = std::max(offset, other.offset + other.bytes);
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
  Lifetimes lives = lifetimes(program);
  std::vector<Placed> placed;
  int64_t base = layout.packed_bytes + layout.sync_bytes;
  for (const Buffer* buffer : scratch) {
    auto life = lives.find(buffer->name);
    int64_t bytes = layout.bytes[buffer->name];
    if (life == lives.end() || !life->second.used()) {
      layout.offset[buffer->name] = base;  // never touched: needs no room
      layout.bytes[buffer->name] = 0;
      continue;
    }
    int64_t offset = lowest_fit(placed, bytes, life->second);
    Placed entry{offset, bytes, life->second};
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

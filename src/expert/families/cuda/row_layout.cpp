// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "expert/emit_util.h"
#include "expert/families/cuda/row_emitter.h"

namespace kernelwright::expert::cuda {

using code::Real;
using graph::ScalarKind;
using rewrite::RowGroup;

namespace {

constexpr int64_t kUnroll = 4;

}  // namespace

Real computing_real(const OpContext& context, const RowGroup& group) {
  for (const auto& member : group.members) {
    if (member.nest.output >= 0 && real_of(context, member.nest) == Real::kF64) return Real::kF64;
  }
  return Real::kF32;
}

int64_t held_bytes(const RowGroup::Member& member, Real real) {
  const ScalarKind kind = member.nest.body->kind;
  return kind == ScalarKind::kReal && real == Real::kF32 ? 4 : kind == ScalarKind::kBool ? 1 : 8;
}

RowLayout row_layout(const OpContext& context, const Schedule& schedule) {
  const RowGroup& group = *context.row_group();
  RowLayout layout;
  layout.columns = schedule.at("lanes") != 0;
  layout.threads = schedule.at("threads");
  layout.across = layout.columns ? std::max<int64_t>(32, 128 / layout.threads)
                                 : std::max<int64_t>(1, 128 / layout.threads);
  layout.vector = schedule.at("vector");
  layout.hold = schedule.at("hold");
  layout.cluster = schedule.at("cluster");
  layout.slices = std::max(schedule.at("slices"), layout.cluster);
  const int64_t vectors = group.row_length() / layout.vector;
  const int64_t per_slice = ceil_div(vectors, layout.slices);
  layout.slice = per_slice * layout.vector;
  layout.slices = ceil_div(vectors, per_slice);
  layout.steps = ceil_div(per_slice, layout.threads);
  layout.unroll = layout.hold == 1 ? layout.steps : std::min(layout.steps, kUnroll);
  return layout;
}

Keep keep_of(const RowLayout& layout) {
  return layout.hold == 0 ? Keep::kNothing : Keep::kLoads;
}

int64_t held_shared_bytes(const OpContext& context, const RowLayout& layout, const Passes& plan) {
  if (layout.hold != 2) return 0;
  const Real real = computing_real(context, plan.group);
  int64_t bytes = 0;
  for (size_t j = 0; j < plan.group.members.size(); ++j) {
    if (plan.kept[j])
      bytes += ceil_div(plan.group.row_length() * held_bytes(plan.group.members[j], real), 16) *
               16 * layout.across;
  }
  return bytes;
}

int64_t held_registers(const OpContext& context, const RowLayout& layout, const Passes& plan) {
  if (layout.hold != 1) return 0;
  const Real real = computing_real(context, plan.group);
  int64_t words = 0;
  for (size_t j = 0; j < plan.group.members.size(); ++j) {
    if (plan.kept[j])
      words += layout.steps * layout.vector *
               std::max<int64_t>(1, held_bytes(plan.group.members[j], real) / 4);
  }
  return words;
}

}  // namespace kernelwright::expert::cuda

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "expert/dialects/cuda/machine.h"
#include "expert/emit_util.h"
#include "expert/families/cuda/row_emitter.h"
#include "expert/families/cuda/row_late.h"
#include "expert/families/cuda/row_stay.h"

namespace kernelwright::expert::cuda {

using code::Real;
using graph::ScalarKind;
using rewrite::RowGroup;

namespace {

constexpr int64_t kOwnRegisters = 32;    // of a thread beside what it holds
constexpr int64_t kGuardRegisters = 10;  // and more of them where slices end within a step
constexpr int64_t kOwnShared = 3 << 10;  // of a block: what the system takes, and totals

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

namespace {

// Blocks that a multiprocessor holds for sure: __launch_bounds__ makes the registers fit.
int64_t resident_blocks(const OpContext& context, const RowLayout& layout) {
  const Passes plan = plan_passes(context, keep_of(layout));
  // Loads that are not held need registers of their own, and so do guards.
  const bool exact = layout.hold != 0 && layout.even(plan.group.row_length());
  const int64_t registers =
      held_registers(context, layout, plan) + kOwnRegisters + (exact ? 0 : kGuardRegisters);
  const int64_t bytes = held_shared_bytes(context, layout, plan) + kOwnShared;
  const int64_t shared = Machine(context.model).shared_bytes();
  return std::max<int64_t>(
      1, std::min<int64_t>(
             {2048 / layout.block(), 65536 / (registers * layout.block()), shared / bytes}));
}

}  // namespace

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
  layout.group = schedule.at("group");
  if (layout.shared()) layout.across = 1;
  layout.slices = std::max({schedule.at("slices"), layout.cluster, layout.group});
  const int64_t vectors = group.row_length() / layout.vector;
  const int64_t per_slice = ceil_div(vectors, layout.slices);
  layout.slice = per_slice * layout.vector;
  layout.slices = ceil_div(vectors, per_slice);
  layout.steps = ceil_div(per_slice, layout.threads);
  layout.registers = layout.hold == 1   ? layout.steps
                     : layout.hold == 3 ? ceil_div(layout.steps, 2)
                                        : 0;
  layout.unroll =
      layout.registers > 0 ? layout.registers : std::min(layout.steps, RowLayout::kUnroll);
  if (layout.group > 0 && schedule.at("stay") != 0)
    place_stays(context, plan_passes(context, keep_of(layout)), layout);
  else if (layout.shared())
    layout.resident = resident_blocks(context, layout);
  layout.once = layout.group > 0 && layout.hold != 0;
  layout.ahead = layout.group > 0 && schedule.at("ahead") != 0;
  if (layout.ahead) place_late(context, plan_passes(context, keep_of(layout)), layout);
  if (layout.group > 0) {
    const int64_t at_once = layout.resident * Machine(context.model).multiprocessors();
    layout.groups = std::min(group.rows(), at_once / layout.group);
  }
  return layout;
}

Keep keep_of(const RowLayout& layout) {
  return layout.hold == 0 ? Keep::kNothing : Keep::kLoads;
}

std::vector<int> held_places(const Passes& plan, Real real) {
  const auto& members = plan.group.members;
  std::vector<int> places(members.size(), -1);
  std::vector<size_t> owner;  // of each place, the last member that took it
  // A member may follow another where nobody but itself reads that one from its pass on.
  const auto follows = [&](size_t j, size_t before) {
    if (held_bytes(members[j], real) != held_bytes(members[before], real)) return false;
    if (members[j].nest.body->kind != members[before].nest.body->kind) return false;
    for (size_t i = before + 1; i < members.size(); ++i) {
      if (i != j && plan.pass[i] >= plan.pass[j] && reads(members[i], members[before].nest.output))
        return false;
    }
    return plan.pass[before] < plan.pass[j];
  };
  for (size_t j = 0; j < members.size(); ++j) {
    if (!plan.kept[j]) continue;
    size_t at = 0;
    while (at < owner.size() && !follows(j, owner[at])) ++at;
    if (at == owner.size()) owner.push_back(j);
    owner[at] = j;
    places[j] = static_cast<int>(at);
  }
  return places;
}

std::vector<size_t> first_of_places(const Passes& plan, Real real) {
  const std::vector<int> places = held_places(plan, real);
  std::vector<size_t> first;
  for (size_t j = 0; j < places.size(); ++j) {
    if (places[j] == static_cast<int>(first.size())) first.push_back(j);
  }
  return first;
}

int64_t held_room(const RowGroup::Member& member, const RowLayout& layout, Real real) {
  const int64_t points = (layout.steps - layout.registers) * layout.threads * layout.vector;
  return ceil_div(points * held_bytes(member, real), 16) * 16;
}

int64_t held_shared_bytes(const OpContext& context, const RowLayout& layout, const Passes& plan) {
  if (layout.hold < 2) return 0;
  const Real real = computing_real(context, plan.group);
  int64_t bytes = 0;
  for (size_t j : first_of_places(plan, real))
    bytes += held_room(plan.group.members[j], layout, real) * layout.across;
  return bytes;
}

int64_t held_registers(const OpContext& context, const RowLayout& layout, const Passes& plan) {
  const Real real = computing_real(context, plan.group);
  int64_t words = 0;
  for (size_t j : first_of_places(plan, real)) {
    words += layout.registers * layout.vector *
             std::max<int64_t>(1, held_bytes(plan.group.members[j], real) / 4);
  }
  return words;
}

}  // namespace kernelwright::expert::cuda

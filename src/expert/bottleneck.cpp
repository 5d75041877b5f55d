// SPDX-License-Identifier: Apache-2.0
#include "expert/bottleneck.h"

#include <algorithm>

namespace kernelwright::expert {
namespace {

constexpr double kHeldBy = 0.5;   // share of the time at a ceiling
constexpr double kBusy = 2;       // instructions a cycle: the processor is at work
constexpr double kWaiting = 0.8;  // instructions a cycle: it waits
constexpr double kLineBytes = 64;
constexpr double kAlwaysToWin = 0.1;

void add(std::optional<double>& sum, const std::optional<double>& figure) {
  if (figure) sum = sum.value_or(0) + *figure;
}

}  // namespace

const char* limit_name(Limit limit) {
  switch (limit) {
    case Limit::kUnknown:
      return "";
    case Limit::kMemory:
      return "memory";
    case Limit::kArithmetic:
      return "arithmetic";
  }
  return "";
}

std::vector<OpProfile> profile_ops(const std::vector<program::StepProfile>& steps,
                                   const std::vector<int>& op_of_step, size_t ops) {
  if (steps.empty() || steps.size() != op_of_step.size()) return {};
  std::vector<OpProfile> profiles(ops);
  for (size_t i = 0; i < steps.size(); ++i) {
    if (op_of_step[i] < 0) continue;
    OpProfile& profile = profiles.at(static_cast<size_t>(op_of_step[i]));
    profile.seconds += steps[i].ms / 1e3;
    add(profile.cycles, steps[i].cycles);
    add(profile.instructions, steps[i].instructions);
    add(profile.cache_misses, steps[i].cache_misses);
  }
  return profiles;
}

Limit limit_of(const OpProfile& profile, const graph::Work& work, const graph::Ceilings& ceilings) {
  if (profile.seconds <= 0) return Limit::kUnknown;
  graph::Work moved = work;
  if (profile.cache_misses) moved.bytes = *profile.cache_misses * kLineBytes;
  const graph::SpeedOfLight light = graph::speed_of_light(moved, ceilings);
  if (std::max(light.memory_s, light.compute_s) >= kHeldBy * profile.seconds)
    return light.memory_s >= light.compute_s ? Limit::kMemory : Limit::kArithmetic;
  if (profile.instructions && profile.cycles.value_or(0) > 0) {
    const double per_cycle = *profile.instructions / *profile.cycles;
    if (per_cycle >= kBusy) return Limit::kArithmetic;
    if (per_cycle <= kWaiting) return Limit::kMemory;
  }
  return Limit::kUnknown;
}

double headroom(const OpProfile& profile, const graph::Work& work,
                const graph::Ceilings& ceilings) {
  return std::max(profile.seconds - graph::speed_of_light(work, ceilings).seconds,
                  kAlwaysToWin * profile.seconds);
}

}  // namespace kernelwright::expert

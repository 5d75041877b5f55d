// SPDX-License-Identifier: Apache-2.0
#include "program/step_profile.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace kernelwright::program {

using nlohmann::json;

json step_profile_json(const StepProfile& profile) {
  json out = {{"step", profile.step}, {"ms", profile.ms}};
  for (const CountedFigure& counted : kCountedFigures)
    if (const auto& figure = profile.*counted.figure) out[counted.name] = *figure;
  return out;
}

StepProfile parse_step_profile(const json& value) {
  StepProfile profile;
  if (!value.is_object()) return profile;
  if (const auto it = value.find("step"); it != value.end() && it->is_string())
    profile.step = it->get<std::string>();
  const auto number = [&](const char* name) {
    const auto it = value.find(name);
    return it != value.end() && it->is_number() ? std::optional(it->get<double>()) : std::nullopt;
  };
  profile.ms = number("ms").value_or(0);
  for (const CountedFigure& counted : kCountedFigures)
    profile.*counted.figure = number(counted.name);
  return profile;
}

std::string counted_text(const StepProfile& profile) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (profile.instructions && profile.cycles && *profile.cycles > 0)
    add(fmt::format("{:.2g} instructions a cycle", *profile.instructions / *profile.cycles));
  if (profile.cache_misses) add(fmt::format("{:.3g} lines from memory", *profile.cache_misses));
  if (profile.tlb_misses) add(fmt::format("{:.3g} TLB misses", *profile.tlb_misses));
  if (profile.page_faults.value_or(0) > 0)
    add(fmt::format("{:.3g} page faults", *profile.page_faults));
  return text;
}

}  // namespace kernelwright::program

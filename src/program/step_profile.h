// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace kernelwright::program {

// Where a program's time goes: one launch, fill or copy of `run`, made by itself on cold caches.
// For proposers' eyes; no verdict hangs on it. Figures are medians; what the processor counted is
// of all threads, and is missing where it counts nothing or may not be asked.
struct StepProfile {
  std::string step;  // as program::step_names calls it: "run[2] softmax"
  double ms = 0;
  std::optional<double> cycles = {}, instructions = {};
  std::optional<double> cache_misses = {};  // of the last level: lines that came from memory
  std::optional<double> tlb_misses = {};    // of loads
  std::optional<double> page_faults = {};
};

// What is counted, by the name that JSON has for it.
struct CountedFigure {
  const char* name;
  std::optional<double> StepProfile::* figure;
};
inline constexpr std::array<CountedFigure, 5> kCountedFigures = {{
    {"cycles", &StepProfile::cycles},
    {"instructions", &StepProfile::instructions},
    {"cache_misses", &StepProfile::cache_misses},
    {"tlb_misses", &StepProfile::tlb_misses},
    {"page_faults", &StepProfile::page_faults},
}};

// {"step", "ms"} and what was counted.
nlohmann::json step_profile_json(const StepProfile& profile);
// What is missing or malformed is as if it were not there.
StepProfile parse_step_profile(const nlohmann::json& value);
// "1.9 instructions a cycle, 3.1e+05 lines from memory, 12 page faults"; empty: nothing counted.
std::string counted_text(const StepProfile& profile);

}  // namespace kernelwright::program

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace kernelwright::report {

// A measured ratio of times with its 95 % bounds; above 1 is faster.
struct Interval {
  std::string name;  // against what; HTML
  double reference_ms = 0;
  double speedup = 1, low = 1, high = 1;
};

// From an object with speedup, speedup_low, speedup_high (a timing of a verdict, result.json's
// `speedups`); name and reference's time are the caller's.
Interval interval_of(const nlohmann::json& object, std::string name, double reference_ms);
// "torch.compile" of "compile", "PyTorch eager" of "eager"; else the name itself, escaped.
std::string baseline_title(const std::string& name);

// A row for each: name, bar on one logarithmic scale with a mark at 1, figures. Empty for none.
std::string intervals_html(const std::vector<Interval>& intervals);

}  // namespace kernelwright::report

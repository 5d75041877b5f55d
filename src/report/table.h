// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace kernelwright::report {

// Plain-text table: columns padded, numbers to the right. The first row is the header.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

std::string three_digits(double value);  // of a value from 1 on: "1.00", "12.3", "1234"
std::string ms_text(double ms);          // "0.123 ms", "12.3 ms", "1.23 s"
std::string ratio_text(double ratio);    // "1.23x"

// What a person sees at the end of a run, from the object of result.json: baselines, drop-in,
// errors, share of the speed of light, where the artifact lies.
std::string result_table(const nlohmann::json& result);

}  // namespace kernelwright::report

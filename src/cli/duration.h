// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace kernelwright::cli {

// "90", "90s", "2m", "1.5h" or "1m30s" in seconds; nullopt when malformed, negative or over 30
// days.
std::optional<double> parse_duration(const std::string& text);

// "2/8" as {2, 8} with 1 <= index <= count <= 10000.
std::optional<std::pair<int, int>> parse_shard(const std::string& text);

}  // namespace kernelwright::cli

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "referee/space.h"

namespace kernelwright::referee {

// NVIDIA's compute-sanitizer, tool by tool; none where it is not installed (PATH, /usr/local/cuda).
// initcheck knows nothing of memory that another process has written: its findings are only noted.
std::vector<CheckTool> sanitizer_tools();

// First finding of a log: "Invalid __global__ read of size 4 bytes at k+0x90"; "" when the summary
// counts none; nullopt without a summary.
std::optional<std::string> sanitizer_finding(const std::string& log);

}  // namespace kernelwright::referee

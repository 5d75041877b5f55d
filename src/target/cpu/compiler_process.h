// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/subprocess.h"

namespace kernelwright::target {

struct ToolLimits {
  double wall_s = 60;
  uint64_t memory_bytes = 4ull << 30;
  uint64_t file_bytes = 256ull << 20;
  uint64_t output_bytes = 1 << 20;
};

// Runs a compiler or a binutil in `folder`, confined: it reads system folders and its own
// installation, writes `folder`, has no network and a bare environment.
Result<base::ProcessOutcome> run_compiler(const std::filesystem::path& tool,
                                          const std::vector<std::string>& arguments,
                                          const std::filesystem::path& folder,
                                          const ToolLimits& limits);

}  // namespace kernelwright::target

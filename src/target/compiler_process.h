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
  std::vector<std::filesystem::path> also_readable;  // beyond system folders and the tool's own
};

// Runs a compiler or a binutil in `folder`, confined: it reads system folders and its own
// installation, writes `folder`, has no network and a bare environment.
Result<base::ProcessOutcome> run_compiler(const std::filesystem::path& tool,
                                          const std::vector<std::string>& arguments,
                                          const std::filesystem::path& folder,
                                          const ToolLimits& limits);

// A message about an end that was not the compiler's own decision: the time limit or a signal.
std::string limit_message(const base::ProcessOutcome& outcome, double wall_s);

inline constexpr int kMaxCompilerErrors = 5;
// What a proposer reads: the first few errors, without `folder` and without notes, at most about 40
// lines.
std::string shorten_compiler_log(const std::string& log, const std::filesystem::path& folder);

// Whether `text` may be the name of a macro or a kernel.
bool is_identifier(const std::string& text);
// A file name of letters, digits and ._- that ends in `suffix` and begins with no '-'.
bool is_plain_file_name(const std::string& name, const std::string& suffix);

}  // namespace kernelwright::target

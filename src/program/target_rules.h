// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kernelwright::program {

// A flag a candidate may ask for: the text itself, or, where `high` > 0, a prefix and a decimal
// number in low..high.
struct FlagRule {
  std::string_view text;
  int64_t low = 0;
  int64_t high = 0;
};

// "-O2", "-falign-loops=1..64".
std::string flag_text(const FlagRule& rule);

// What the program format allows per target. One row of the table in target_rules.cpp each.
struct TargetRules {
  std::string_view name;
  std::vector<FlagRule> flags;
  std::vector<std::string_view> routines = {};  // of libraries, that the trusted runtime offers
  int64_t alignment = 64;                       // of buffers in the arena, bytes
  bool cpu = false;         // team, scratch_bytes, grain; no block, cluster, shared memory
  bool cuda = false;        // cluster, pdl, tensor maps
  bool local_args = false;  // {"local": bytes}
};

// Null when the format knows no such target. That says nothing of whether this machine has it.
const TargetRules* target_rules(std::string_view name);

}  // namespace kernelwright::program

// SPDX-License-Identifier: Apache-2.0
#include "program/target_rules.h"

#include <fmt/core.h>

#include "program/validate.h"

namespace kernelwright::program {
namespace {

const std::vector<TargetRules>& table() {
  static const std::vector<TargetRules> rows = {
      {.name = "cpu",
       .flags = {{"-O1"},
                 {"-O2"},
                 {"-O3"},
                 {"-funroll-loops"},
                 {"-fno-unroll-loops"},
                 {"-fno-tree-vectorize"},
                 {"-ftree-vectorize"},
                 {"-fno-math-errno"},
                 {"-fno-trapping-math"},
                 {"-ffp-contract=fast"},
                 {"-ffp-contract=off"},
                 {"-fno-omit-frame-pointer"},
                 {"-fomit-frame-pointer"},
                 {"-mprefer-vector-width=", 128, 512},
                 {"-falign-loops=", 1, 64},
                 {"-falign-functions=", 1, 64}},
       .alignment = 64,
       .cpu = true},
      {.name = "cuda",
       .flags = {{"--maxrregcount=", 16, 255},
                 {"--fmad=true"},
                 {"--fmad=false"},
                 {"--extra-device-vectorization"},
                 {"-lineinfo"}},
       .alignment = 256,
       .cuda = true},
      {.name = "hip", .flags = {}, .alignment = 256},
      {.name = "opencl", .flags = {{"-cl-mad-enable"}}, .alignment = 256, .local_args = true},
      {.name = "metal", .flags = {}, .alignment = 256, .local_args = true},
  };
  return rows;
}

bool matches(const FlagRule& rule, std::string_view flag) {
  if (rule.high == 0) return flag == rule.text;
  if (!flag.starts_with(rule.text)) return false;
  std::string_view digits = flag.substr(rule.text.size());
  if (digits.empty() || digits.size() > 6 || digits[0] == '0') return false;
  int64_t value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  return value >= rule.low && value <= rule.high;
}

}  // namespace

const TargetRules* target_rules(std::string_view name) {
  for (const TargetRules& row : table())
    if (row.name == name) return &row;
  return nullptr;
}

std::string flag_text(const FlagRule& rule) {
  const std::string text(rule.text);
  return rule.high > 0 ? fmt::format("{}{}..{}", text, rule.low, rule.high) : text;
}

bool flag_allowed(const std::string& target, const std::string& flag) {
  const TargetRules* rules = target_rules(target);
  if (!rules) return false;
  for (const FlagRule& rule : rules->flags)
    if (matches(rule, flag)) return true;
  return false;
}

}  // namespace kernelwright::program

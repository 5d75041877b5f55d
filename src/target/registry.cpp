// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <charconv>

#include "target/cpu/cpu_target.h"
#include "target/cuda/cuda_target.h"
#include "target/target.h"

namespace kernelwright::target {
namespace {

struct PolicyRow {
  Policy policy;
  const char* name;
};
constexpr PolicyRow kPolicies[] = {{Policy::kStrict, "strict"},
                                   {Policy::kTf32, "tf32"},
                                   {Policy::kBf16, "bf16"},
                                   {Policy::kFp16, "fp16"}};

Result<std::unique_ptr<Target>> open_cpu(int) {
  return open_cpu_target();
}

// Every target this build knows, and whether its devices are numbered ("cuda:1").
struct TargetRow {
  const char* name;
  Result<std::unique_ptr<Target>> (*open)(int device);
  bool numbered;
};
constexpr TargetRow kTargets[] = {
    {"cpu", &open_cpu, false},
    {"cuda", &open_cuda_target, true},
};

// The number behind the colon; -1 where it is none.
int device_number(const std::string& text) {
  int number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  return ec == std::errc() && end == text.data() + text.size() && number >= 0 ? number : -1;
}

}  // namespace

const char* policy_name(Policy policy) {
  for (const auto& row : kPolicies)
    if (row.policy == policy) return row.name;
  return "strict";
}

std::optional<Policy> policy_from_name(const std::string& name) {
  for (const auto& row : kPolicies)
    if (name == row.name) return row.policy;
  return std::nullopt;
}

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const auto& row : kTargets) names.emplace_back(row.name);
  return names;
}

Result<std::unique_ptr<Target>> open_target(const std::string& name) {
  // "cuda:1" names a device of a target.
  const std::string base = name.substr(0, name.find(':'));
  std::string known;
  for (const auto& row : kTargets) {
    if (base == row.name) {
      if (base == name) return row.open(0);
      if (!row.numbered)
        return fail(ErrorKind::kUsage, fmt::format("target '{}' has no numbered devices", base));
      const int number = device_number(name.substr(base.size() + 1));
      if (number < 0)
        return fail(ErrorKind::kUsage,
                    fmt::format("'{}' names no device; {}:0 does", name.substr(0, 40), base));
      return row.open(number);
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  return fail(
      Error{ErrorKind::kUsage, fmt::format("unknown target '{}'", name), {}}.with("known", known));
}

}  // namespace kernelwright::target

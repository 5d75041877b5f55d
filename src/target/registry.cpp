// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "target/cpu/cpu_target.h"
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

// A target that this build knows by name but cannot use.
class AbsentTarget final : public Target {
 public:
  AbsentTarget(std::string name, std::string reason)
      : name_(std::move(name)), reason_(std::move(reason)) {}
  std::string name() const override { return name_; }
  std::string absent_reason() const override { return reason_; }
  std::string device_name() const override { return ""; }
  std::string toolchain_identity() const override { return ""; }
  std::string toolchain_version() const override { return ""; }
  bool supports(Policy) const override { return false; }
  Result<tl::expected<BuiltObject, BuildFailure>> build(const program::Candidate&,
                                                        Policy) override {
    return absent();
  }
  std::optional<std::string> screen(const BuiltObject&, const program::Program&) const override {
    return reason_;
  }
  Result<MachineModel> machine_model(bool) override { return absent(); }

 private:
  tl::unexpected<Error> absent() const {
    return fail(ErrorKind::kEnvironment, fmt::format("target '{}' is absent: {}", name_, reason_));
  }
  std::string name_, reason_;
};

// Every target this build knows. An entry without `open` is absent for `reason`.
struct TargetRow {
  const char* name;
  Result<std::unique_ptr<Target>> (*open)();
  const char* reason;
};
constexpr TargetRow kTargets[] = {
    {"cpu", &open_cpu_target, ""},
    {"cuda", nullptr, "this build has no CUDA target"},
};

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
      if (row.open == nullptr) return std::make_unique<AbsentTarget>(row.name, row.reason);
      if (base != name)
        return fail(ErrorKind::kUsage, fmt::format("target '{}' has no numbered devices", base));
      return row.open();
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  return fail(
      Error{ErrorKind::kUsage, fmt::format("unknown target '{}'", name), {}}.with("known", known));
}

}  // namespace kernelwright::target

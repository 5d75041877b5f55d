// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

namespace kernelwright::target {

// Numerics the user asked for. docs/numerics.md.
enum class Policy { kStrict, kTf32, kBf16, kFp16 };
const char* policy_name(Policy policy);
std::optional<Policy> policy_from_name(const std::string& name);

}  // namespace kernelwright::target

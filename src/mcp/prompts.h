// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace kernelwright::mcp {

nlohmann::json list_prompts();
// The result of prompts/get; kUsage: no such prompt, or an argument is missing.
Result<nlohmann::json> get_prompt(const nlohmann::json& params);

}  // namespace kernelwright::mcp

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kernelwright::agent {

// Parses JSON from outside: one document of at most `max_bytes`, nested at most `max_depth` deep,
// without duplicate keys. kInput otherwise.
Result<nlohmann::json> parse_json(std::string_view text, size_t max_bytes, size_t max_depth);

// Checks a value against a JSON schema made of: type, properties, required, additionalProperties,
// items, enum, minimum, maximum, minLength, maxLength, maxItems, maxProperties. kUsage with the
// place and what was expected ("program.sources: missing").
Status check_schema(const nlohmann::json& schema, const nlohmann::json& value);

}  // namespace kernelwright::agent

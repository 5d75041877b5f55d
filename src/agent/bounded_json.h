// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/result.h"

namespace kernelwright::agent {

// JSON from outside: kInput when it is none, or nested deeper than `max_depth`; never throws.
Result<nlohmann::json> parse_bounded_json(std::string_view text, int max_depth);

// A member of an object as text; empty when `object` is none, or the member is absent or no text.
std::string text_member(const nlohmann::json& object, const char* name);
// The same for whole numbers from 0 to 2^53; 0 otherwise.
int64_t count_member(const nlohmann::json& object, const char* name);
// A member that is an object or an array; an empty object otherwise.
const nlohmann::json& inner_member(const nlohmann::json& object, const char* name);

}  // namespace kernelwright::agent

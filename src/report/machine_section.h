// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace kernelwright::report {

// Machine, versions and how to judge the result again: from result.json. A piece of HTML.
std::string machine_html(const nlohmann::json& result);

}  // namespace kernelwright::report

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace kernelwright::report {

// The roofline (Williams, Waterman, Patterson, Roofline: An Insightful Visual Performance Model,
// 2009) of a run: a point per accepted program and one for eager at the same work, under the
// ceilings that were measured on the machine; FLOP and bytes are the least work known of the region
// (`work` of result.json). Chart and table; empty where the result has no accepted program with
// work and ceilings.
std::string roofline_html(const nlohmann::json& result);

}  // namespace kernelwright::report

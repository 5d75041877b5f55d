// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "report/verdict_log.h"

namespace kernelwright::report {

// An accepted program's files.
struct ProgramSource {
  std::string region, program_json, text;
};

// One region of result.json: what was found, against which baselines, best over time, where a
// call's time goes, rewrites, lineage, sources. A piece of HTML.
std::string region_html(const nlohmann::json& region, const std::vector<LoggedVerdict>& verdicts,
                        const std::vector<ProgramSource>& sources);

}  // namespace kernelwright::report

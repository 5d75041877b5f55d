// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "report/verdict_log.h"

namespace kernelwright::report {

// How a program came to be: its ancestors from the first one on, each with its proposer, idea, the
// knobs that changed and its verdict, and beside each what else was made of it. HTML with all text
// escaped; empty when the verdicts do not know the program.
std::string lineage_html(const std::vector<LoggedVerdict>& verdicts, const std::string& region,
                         const std::string& program);

// What changed between two schedules: "op0.mr 8 → 12", "rewrite NAME at WHERE". Escaped.
std::string schedule_change(const std::map<std::string, double>& before,
                            const std::map<std::string, double>& after);

}  // namespace kernelwright::report

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "report/region_section.h"

namespace kernelwright::report {

// What a report is made of; all of it lies in a run's folder.
struct ReportInput {
  nlohmann::json* result = nullptr;             // result.json
  std::vector<std::string> verdict_lines;       // verdicts.jsonl
  std::vector<std::string> conversation_lines;  // conversations.jsonl; only of runs with agents
  std::vector<ProgramSource> sources;           // of the accepted programs
};

// One self-contained page: no script, no style from elsewhere, light and dark, readable on a phone.
// All text from files, kernels and models is escaped; a field that is missing or of another type
// leaves its place empty.
std::string report_html(const ReportInput& input);

// Reads a run's folder and writes report.html into it. kInput when it is no run.
Result<std::filesystem::path> write_report(const std::filesystem::path& run_dir);

}  // namespace kernelwright::report

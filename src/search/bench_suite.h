// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace kernelwright::search {

// Workload files below the given files and folders, sorted, without repeats; folders give their
// *.py that do not begin with '_'. kInput when a path does not exist or a folder holds none.
Result<std::vector<std::string>> find_workloads(const std::vector<std::string>& paths);

// The part of `all` that shard `index` of `count` (from 1) does.
std::vector<std::string> shard(const std::vector<std::string>& all, int index, int count);

// Over the rows of a bench (objects of `optimize --json`, or {"workload", "status": "error", ...}).
struct SuiteSummary {
  int workloads = 0, right = 0, improved = 0, kept = 0, errors = 0;
  double geomean = 1;        // speedup over the fastest baseline, kept baselines as 1.0
  double geomean_eager = 1;  // over eager
  int covered = 0;           // coverage over 0.9
  int disturbed = 0;         // timed while other programs used the processors
  // KernelBench's fast_p: share of workloads that are right and faster than p, against eager and
  // the best.
  std::vector<std::pair<double, double>> fast_p_eager, fast_p_best;
  // Of the machine model's predictions (search_figures.h): median over regions that have one.
  std::optional<double> rank_correlation;
  int ranked_regions = 0;
  // Mean share of the final speed after kCurveSeconds, over regions with a right program.
  std::vector<double> share_of_final;
};
SuiteSummary summarize(const std::vector<nlohmann::json>& rows);
nlohmann::json summary_json(const SuiteSummary& summary);
std::string summary_text(const SuiteSummary& summary);
// One row for the terminal.
std::vector<std::string> suite_row(const nlohmann::json& row);
extern const std::vector<std::string> kSuiteHeader;

}  // namespace kernelwright::search

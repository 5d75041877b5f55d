// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "search/run_result.h"
#include "search/session.h"

namespace kernelwright::search {

struct RunOptions {
  torch::WorkloadSpec spec;
  int threads = 0;
  double budget_s = 120;
  uint64_t seed = 0;          // 0: unpredictable
  std::filesystem::path out;  // empty: runs/<workload>-<time>
  bool resume = false;        // start from the archive's best program for each region
  std::string command;        // recorded with the run
};

// The whole way once: import, partition, baselines, search per region, promotion, artifact, final
// check. The artifact's folder appears when all is done; on failure nothing is left. On an
// interrupt the best so far is promoted and written.
Result<RunResult> optimize(const RunOptions& options);

// File-safe short name of a workload ("lenet") for folders.
std::string short_name(const std::string& workload);

}  // namespace kernelwright::search

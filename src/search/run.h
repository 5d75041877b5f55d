// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "search/agents.h"
#include "search/run_result.h"
#include "search/session.h"

namespace kernelwright::search {

struct RunOptions {
  torch::WorkloadSpec spec;
  int threads = 0;
  double budget_s = 120;
  uint64_t seed = 0;          // 0: unpredictable
  std::filesystem::path out;  // empty: runs/<workload>-<time>
  bool resume = false;        // go on with the run in `out`, and with what the archive knows
  std::string command;        // recorded with the run
  bool with_expert = true;    // the built-in proposer takes part
  std::optional<AgentOptions> agents;  // models take part
  std::function<bool()> stop;          // asked between steps; may be empty
};

class OpenedRun;
struct OpenedRegion;

// The whole way once: import, partition, baselines, search per region, promotion, artifact, final
// check. The artifact's folder appears when all is done; on failure nothing is left. On an
// interrupt the best so far is promoted and written. What an earlier run of the same workload left
// in `out` is continued with `resume`: no program is judged again, the artifact is replaced when
// all is done.
Result<RunResult> optimize(const RunOptions& options);

// The built-in proposer's turn at one region of an opened run; what it finds enters the contest.
// Ends early, without an error, on an interrupt or when the run's `stop` says so.
Status search_with_expert(OpenedRun& run, OpenedRegion& region, double budget_s);

// runs/<workload>-<time>, not taken yet.
std::filesystem::path default_out(const std::string& workload);

// File-safe short name of a workload ("lenet") for folders.
std::string short_name(const std::string& workload);

}  // namespace kernelwright::search

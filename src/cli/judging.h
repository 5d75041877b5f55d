// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/commands.h"
#include "search/run.h"
#include "torch/worker.h"

namespace kernelwright::cli {

torch::WorkloadSpec workload_spec(const WorkloadOptions& workload, const JudgeOptions& judge);
// Who proposes, as a run takes it. kUsage when options do not go together, kInput when a hint's
// file cannot be read.
Status set_proposers(const SearchOptions& options, const std::string& replay, bool show_prompts,
                     search::RunOptions& run);

}  // namespace kernelwright::cli

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/commands.h"
#include "torch/worker.h"

namespace kernelwright::cli {

torch::WorkloadSpec workload_spec(const WorkloadOptions& workload, const JudgeOptions& judge);
// kUsage when a proposer or its options are not part of this build.
Status check_proposers(const SearchOptions& options);

}  // namespace kernelwright::cli

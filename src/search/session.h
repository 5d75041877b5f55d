// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "rewrite/partition.h"
#include "target/target.h"
#include "torch/worker.h"

namespace kernelwright::search {

struct SessionOptions {
  torch::WorkloadSpec spec;        // spec.policy and spec.target may be empty: chosen here
  int threads = 0;                 // 0: torch's own choice
  std::filesystem::path work_dir;  // graph.json, weights, logs; created
};

// A workload opened on a target: imported, cut into regions, with the target's machine model. What
// optimize, check, verify and explain start from.
struct Session {
  torch::WorkloadSpec spec;  // with policy and target filled in
  target::Policy policy = target::Policy::kStrict;
  std::unique_ptr<target::Target> target;
  std::unique_ptr<torch::Worker> torch;
  target::MachineModel model;
  torch::Imported imported;
  rewrite::Partition partition;
  std::filesystem::path work_dir;
  int threads = 0;

  // kUsage: unknown target or policy, or one that does not go with the other; kEnvironment: the
  // target is absent (says why); kInput: the workload does not load.
  static Result<Session> open(const SessionOptions& options);
};

// A usable target by name; empty: cuda when a device answers, else cpu. kUsage or kEnvironment as
// above.
Result<std::unique_ptr<target::Target>> choose_target(const std::string& name);

}  // namespace kernelwright::search

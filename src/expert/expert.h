// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "graph/stage.h"
#include "program/proposer.h"
#include "target/machine_model.h"
#include "target/target.h"

namespace kernelwright::expert {

struct ExpertOptions {
  target::Policy policy = target::Policy::kStrict;
  int threads = 1;
  uint64_t seed = 1;
  std::string target;  // whose dialect to write; empty: the machine model's
};

// The built-in proposer: fuses the region, gives every fused op a family, ranks schedules by the
// machine model, and mutates what measured best. Its first proposal is the best-ranked program; the
// naive loop nest, which exists for every op of the table, is naive_program().
Result<std::unique_ptr<program::Proposer>> make_expert(const graph::StageGraph& region,
                                                       const target::MachineModel& model,
                                                       const ExpertOptions& options);

// One plain loop nest per stage for options.target (empty: the CPU): correct for every supported
// region, and the yardstick for the rest.
Result<program::Candidate> naive_program(const graph::StageGraph& region,
                                         const ExpertOptions& options);

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "graph/stage.h"
#include "program/proposer.h"
#include "rewrite/rules.h"
#include "target/machine_model.h"
#include "target/target.h"

namespace kernelwright::expert {

struct ExpertOptions {
  target::Policy policy = target::Policy::kStrict;
  int threads = 1;
  uint64_t seed = 1;
  std::string target;   // whose dialect to write; empty: the machine model's
  bool rewrite = true;  // false: only rules that are exact
};

// The built-in proposer: rewrites and fuses the region, gives every fused op a family, ranks
// schedules by the machine model, and mutates what measured best. Its first proposal is the
// best-ranked program; the naive loop nest, which exists for every op of the table, is
// naive_program(). Where rules that round in another order were used, the first batch has a program
// without them as well, and what measures best goes on: a rule that the problem's rounding noise
// does not allow, or that does not pay, is given up. Proposal::schedule names the rules that a
// program came by (rule_key) and the family of each op ("family/op0/contraction"), which adapt()
// takes from a region of the same structure.
Result<std::unique_ptr<program::Proposer>> make_expert(const graph::StageGraph& region,
                                                       const target::MachineModel& model,
                                                       const ExpertOptions& options);

// The key under which a schedule counts uses of a rule, and the rule and place of such a key;
// nullopt for the key of a knob.
std::string rule_key(const rewrite::Applied& applied);
std::optional<rewrite::Applied> rule_of_key(const std::string& key);

// One plain loop nest per stage for options.target (empty: the CPU): correct for every supported
// region, and the yardstick for the rest.
Result<program::Candidate> naive_program(const graph::StageGraph& region,
                                         const ExpertOptions& options);

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/workbench.h"
#include "search/opened_run.h"

namespace kernelwright::search {

// The workbench of an opened run: what is submitted here enters the contests of its regions, beside
// what the built-in search finds. The run outlives it.
class RunWorkbench : public agent::Workbench {
 public:
  explicit RunWorkbench(OpenedRun& run);
  const agent::WorkloadFacts& facts() const override { return facts_; }
  Result<agent::Judged> judge(const std::string& region, const program::Proposal& proposal,
                              agent::Depth depth, const agent::Call& call) override;
  Result<agent::Profile> profile(const std::string& region, const program::Proposal& proposal,
                                 const agent::Call& call) override;
  std::optional<agent::BestProgram> best(const std::string& region) const override;
  archive::Archive& archive() override { return run_.archive(); }

 private:
  Result<OpenedRegion*> find(const std::string& region) const;
  Result<std::optional<agent::Judged>> judged_before(const OpenedRegion& region,
                                                     const std::string& id);

  OpenedRun& run_;
  agent::WorkloadFacts facts_;
};

}  // namespace kernelwright::search

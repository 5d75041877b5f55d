// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/workbench.h"
#include "base/file.h"
#include "program/parse.h"

namespace kernelwright::test {

inline nlohmann::json small_program() {
  return nlohmann::json::parse(R"({"format":1,"target":"cpu","source":"kernels.cpp",
    "params":{"TILE":32},
    "buffers":{"x":{"role":"input","index":0},"y":{"role":"output","index":0}},
    "run":[{"kernel":"f","grid":[16],"args":["x",{"out":"y"}]}]})");
}

// Gives every program the same verdict and records it, as the real one does.
class FakeWorkbench : public agent::Workbench {
 public:
  FakeWorkbench()
      : dir_(std::move(*base::TempDir::create("kw-fake"))),
        archive_(std::move(*archive::Archive::open(dir_.path() / "a.sqlite"))) {
    facts_.name = "relu";
    facts_.target = "cpu";
    agent::RegionFacts region;
    region.region.id = "r0";
    region.subject = "s";
    region.baselines_ms = {{"eager", 2.0}};
    region.best_baseline = "eager";
    region.best_baseline_ms = 2;
    region.light.seconds = 1e-3;
    facts_.regions.push_back(region);
    (void)archive_.record_subject({"s", "relu", "r0", "cpu", "d", "strict", ""});
    (void)archive_.begin_run({"run", "relu", "", "", "running", archive::utc_now(), ""});
    next.kind = referee::VerdictKind::kAccepted;
    next.timing.emplace();
    next.timing->ms = 1.5;
  }
  const agent::WorkloadFacts& facts() const override { return facts_; }
  Result<agent::Judged> judge(const std::string&, const program::Proposal& proposal,
                              agent::Depth depth, const agent::Call& call) override {
    call.tell(0, 2, "building");
    while (block && !call.stop()) {
    }
    if (call.stop()) return fail(ErrorKind::kInterrupted, "cancelled");
    call.tell(2, 2, "done");
    agent::Judged judged;
    judged.program = program::candidate_id(proposal.candidate);
    judged.verdict = next;
    if (depth == agent::Depth::kCheck) return judged;
    submitted.push_back(proposal);
    KW_TRY(const auto id, archive_.record("run", "s", proposal, judged.program, next));
    (void)id;
    judged.ms = 1.5;
    judged.best = true;
    best_ = agent::BestProgram{judged.program, proposal.idea, proposal.proposer, 1.5};
    return judged;
  }
  Result<agent::Profile> profile(const std::string& region, const program::Proposal& proposal,
                                 const agent::Call& call) override {
    agent::Profile profile;
    KW_TRY(profile.judged, judge(region, proposal, agent::Depth::kCheck, call));
    return profile;
  }
  std::optional<agent::BestProgram> best(const std::string&) const override { return best_; }
  archive::Archive& archive() override { return archive_; }

  referee::Verdict next;
  std::vector<program::Proposal> submitted;
  bool block = false;  // a judgement goes on until it is cancelled

 private:
  base::TempDir dir_;
  archive::Archive archive_;
  agent::WorkloadFacts facts_;
  std::optional<agent::BestProgram> best_;
};

class FakeWorkshop : public agent::Workshop {
 public:
  Result<std::string> open(const agent::OpenRequest&, const agent::Call&) override {
    bench = std::make_unique<FakeWorkbench>();
    bench->block = block;
    return std::string("w1");
  }
  Result<agent::Workbench*> find(const std::string&) override {
    if (!bench) return fail(ErrorKind::kUsage, "no workload is open");
    return bench.get();
  }
  std::vector<std::string> handles() const override {
    return bench ? std::vector<std::string>{"w1"} : std::vector<std::string>{};
  }
  Status run_expert(const std::string&, const std::string&, double, const agent::Call&) override {
    return {};
  }
  Result<Written> write_artifact(const std::string&, const agent::Call&) override {
    return Written{"runs/x", result};
  }
  Status close(const std::string&) override {
    bench.reset();
    return {};
  }
  std::unique_ptr<FakeWorkbench> bench;
  std::string result = R"({"status":"improved"})";  // of an artifact
  bool block = false;
};

}  // namespace kernelwright::test

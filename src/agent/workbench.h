// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive/archive.h"
#include "base/result.h"
#include "graph/analysis.h"
#include "graph/graph.h"
#include "graph/stage.h"
#include "program/proposer.h"
#include "referee/verdict.h"
#include "target/machine_model.h"

namespace kernelwright::agent {

// What a tool call may use while it runs; each function may be empty.
struct Call {
  std::function<void(double done, double total, const std::string& what)> progress;
  std::function<bool()> cancelled;

  void tell(double done, double total, const std::string& what) const {
    if (progress) progress(done, total, what);
  }
  bool stop() const { return cancelled && cancelled(); }
};

// One region as its proposers may know it.
struct RegionFacts {
  graph::Region region;
  graph::StageGraph stages;
  program::Interface interface;
  std::string subject;  // its id in the archive
  std::string ops;      // op names, space-separated
  graph::Work work;
  graph::SpeedOfLight light;
  std::vector<std::pair<std::string, double>> baselines_ms;  // name, median
  std::string best_baseline;
  double best_baseline_ms = 0;
};

// A workload opened on a target.
struct WorkloadFacts {
  std::string name;       // short: "lenet"
  std::string source;     // the user's Python, shortened; empty when there is none
  std::string target;     // "cpu", "cuda"
  std::string device;     // for people
  std::string toolchain;  // for people
  std::string policy;     // "strict"
  std::string features;   // instruction sets of the CPU
  int threads = 0;
  target::MachineModel model;
  graph::Graph graph;
  std::vector<RegionFacts> regions;
  std::vector<std::pair<std::string, std::string>> eager;  // op, why it stays in PyTorch
};

// The best right program of a region so far.
struct BestProgram {
  std::string id, idea, proposer;
  double ms = 0;
};

// How far a program goes: built, screened and verified; or timed against the best as well, and
// recorded in the archive.
enum class Depth { kCheck, kSubmit };

struct Judged {
  std::string program;  // its id
  referee::Verdict verdict;
  double ms = 0;                        // kSubmit, right: on the clock of the best
  std::optional<BestProgram> opponent;  // whom it was timed against
  bool best = false;                    // it is the best from now on
  bool known = false;                   // judged before in this session: the verdict of then
};

// A program on its own.
struct Profile {
  Judged judged;
  std::string compiler_log;  // warnings, shortened
};

// Where proposers have their programs of one workload judged: the same referee, archive and best
// so far for everyone. Used from one thread.
class Workbench {
 public:
  virtual ~Workbench() = default;
  virtual const WorkloadFacts& facts() const = 0;
  // Fails on troubles of our own and on cancellation (kInterrupted); what is wrong with the program
  // is in the verdict.
  virtual Result<Judged> judge(const std::string& region, const program::Proposal& proposal,
                               Depth depth, const Call& call) = 0;
  virtual Result<Profile> profile(const std::string& region, const program::Proposal& proposal,
                                  const Call& call) = 0;
  virtual std::optional<BestProgram> best(const std::string& region) const = 0;
  virtual archive::Archive& archive() = 0;
};

// What a coding agent asks for when it opens a workload; empty fields: chosen as by `optimize`.
struct OpenRequest {
  std::string path, init, inputs, size, target, policy;
  int threads = 0;
  std::string out;  // bare name of the artifact's folder
  bool resume = false;
};

// The workloads that coding agents have open, by handle ("w1").
class Workshop {
 public:
  virtual ~Workshop() = default;
  virtual Result<std::string> open(const OpenRequest& request, const Call& call) = 0;
  // An empty handle means the only one that is open.
  virtual Result<Workbench*> find(const std::string& handle) = 0;
  virtual std::vector<std::string> handles() const = 0;
  // Lets the built-in proposer search a region for some seconds.
  virtual Status run_expert(const std::string& handle, const std::string& region, double seconds,
                            const Call& call) = 0;
  struct Written {
    std::string folder;
    std::string result_json;  // docs/artifact.md
  };
  // Promotes the best of each region, writes the artifact and closes the workload. It stays open
  // when this fails.
  virtual Result<Written> write_artifact(const std::string& handle, const Call& call) = 0;
  virtual Status close(const std::string& handle) = 0;
};

}  // namespace kernelwright::agent

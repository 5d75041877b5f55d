// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "program/parse.h"
#include "program/step_profile.h"

namespace kernelwright::program {

// A program that somebody wants judged, and why.
struct Proposal {
  Candidate candidate;
  std::string proposer;                     // "expert", "llm", "mcp", "person"
  std::string idea;                         // one line: what is new in it
  std::string parent;                       // candidate id it was made from; empty: none
  double predicted_s = 0;                   // by the machine model; 0: no prediction
  double learned_s = 0;                     // corrected by what was measured until then; 0: nothing
  std::map<std::string, int64_t> schedule;  // expert: the knobs chosen
  double share_of_libraries = 0;            // share of its FLOP in library steps
  // Id of the program of a similar region whose schedule this is; empty: none.
  std::string taken_from = {};
};

// What became of a proposal, in the words a proposer may know. Proposers never see the referee's
// insides.
struct Outcome {
  std::string candidate_id;
  std::string verdict;  // verdict_name()
  std::string reason;
  bool correct = false;
  double seconds = 0;  // median, when correct
  // Where its time goes, when it was measured: of a new best. As `run` goes through its steps.
  std::vector<StepProfile> steps = {};
};

// Makes programs for one region. Called from one thread.
class Proposer {
 public:
  virtual ~Proposer() = default;
  virtual std::string name() const = 0;
  // Up to `count` new proposals, best prediction first; none when the ideas are exhausted.
  virtual Result<std::vector<Proposal>> propose(int count) = 0;
  virtual void learn(const Outcome& outcome) = 0;
  // A new proposal with the schedule of a region that differs in extents alone, as near to it as
  // this region allows; nullopt: none is.
  virtual Result<std::optional<Proposal>> adapt(const std::map<std::string, int64_t>& schedule) {
    (void)schedule;
    return std::optional<Proposal>();
  }
};

}  // namespace kernelwright::program

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "program/proposer.h"

namespace kernelwright::search {

// Names of a program's params that a search may change: those that are no extent of the region.
// What stands in the shape of an input, output, weight or state, or equals one of their extents or
// element counts, is taken for one.
std::vector<std::string> tunable_params(const program::Program& program,
                                        const program::Interface& interface);

// Tunes the params that somebody else's program left open: doubles and halves one at a time, goes
// on from what is faster (coordinate descent), and leaves a param alone whose change made a program
// that is not right. Ends when no neighbour of the best is new.
class ParamTuner : public program::Proposer {
 public:
  // `base` is right and takes `seconds`; 0: not known.
  ParamTuner(program::Proposal base, double seconds, const program::Interface& interface);

  std::string name() const override { return "tuner"; }
  Result<std::vector<program::Proposal>> propose(int count) override;
  void learn(const program::Outcome& outcome) override;

 private:
  struct Step {
    std::string param;
    program::Proposal proposal;
  };
  void look_around();

  program::Proposal best_;
  double best_s_ = 0;
  std::vector<std::string> params_;
  std::set<std::string> seen_, given_up_;
  std::deque<Step> waiting_;
  std::map<std::string, Step> proposed_;  // by candidate id
};

}  // namespace kernelwright::search

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "expert/bottleneck.h"
#include "expert/experience.h"
#include "expert/expert.h"
#include "expert/family.h"
#include "expert/learned_cost.h"
#include "rewrite/fuse.h"

namespace kernelwright::expert {

// One way to make one op, or several at once.
struct Option {
  const Family* family = nullptr;
  Schedule schedule;
  double predicted_s = 0;
  const rewrite::JoinedOp* joined = nullptr;  // made in place of its parts
  double ranked_s = 0;  // with what the other parts take where the op is a joined one's last part
};

struct BuiltProgram {
  program::Candidate candidate;
  std::vector<int> op_of_step;  // as ProgramBuilder::op_of_step
};
// The program that makes each op by the option chosen for it.
Result<BuiltProgram> build_program(const rewrite::FusedGraph& graph,
                                   const std::vector<const Option*>& choice,
                                   const target::MachineModel& model, int threads,
                                   const std::string& target);

// The proposer for one form of a region: ranks the options of every fused op, begins with the best
// of each, and goes on from what measured best, one op at a time: the one whose profile leaves most
// to win, by a knob that bears on what holds it back (bottleneck.h). A schedule that failed is no
// parent, and a family that failed twice leaves the op to others (experience.h). What was measured
// corrects the order of the rest (learned_cost.h).
class RegionExpert : public program::Proposer {
 public:
  RegionExpert(rewrite::FusedGraph graph, std::vector<rewrite::Applied> applied,
               target::MachineModel model, ExpertOptions options);

  std::string name() const override { return "expert"; }
  Result<std::vector<program::Proposal>> propose(int count) override;
  void learn(const program::Outcome& outcome) override;
  // nullopt also where other rules were used or an op has another family.
  Result<std::optional<program::Proposal>> adapt(
      const std::map<std::string, int64_t>& schedule) override;

 private:
  using Choice = Experience::Choice;

  const Option& option(size_t op, int index) const {
    return ranked_[op][static_cast<size_t>(index)];
  }
  std::vector<Option> options_of(const Family* family, const OpContext& context);
  std::vector<const Option*> options_of(const Choice& choice) const;
  void rank(const rewrite::FusedOp& op);
  void rank_joined(const rewrite::JoinedOp& joined);
  std::optional<int> nearest_option(size_t op, const std::string& family, const Schedule& wanted);
  std::optional<Choice> next_choice();
  std::optional<Choice> all_anew();
  std::optional<int> next_option(size_t op);
  std::optional<int> neighbour(size_t op) const;
  bool bears_on(size_t op, int index, Limit limit) const;
  const std::vector<OpProfile>* profile() const;
  std::vector<double> shares() const;
  const graph::Work& work(size_t op) const;
  Limit limit(size_t op) const;
  double to_win(size_t op) const;
  std::optional<int> idea(size_t op) const;
  std::optional<int> untried_family(size_t op) const;
  std::optional<int> promising(size_t op) const;
  void reorder();
  double total_predicted(const Choice& choice) const;
  Made made_of(const Choice& choice) const;
  bool left_alone(size_t op, int index) const;
  bool seen_beside_base(size_t op, int index) const;
  int nearest(size_t op, int index, const std::set<int>& to) const;
  Result<program::Proposal> make(const Choice& choice);

  rewrite::FusedGraph graph_;
  std::vector<rewrite::Applied> applied_;
  target::MachineModel model_;
  ExpertOptions options_;
  const std::vector<const Family*>& families_;
  std::mt19937_64 random_;
  std::vector<std::vector<Option>> ranked_;  // per op, best prediction first
  std::vector<std::vector<int>> order_;      // per op, its options as corrected, best first
  bool begun_ = false;
  std::set<Choice> seen_;
  std::vector<std::set<int>> tried_;  // per op, options proposed so far
  struct Proposed {
    Choice choice;
    std::vector<int> op_of_step;
  };
  std::map<std::string, Proposed> proposed_;           // by candidate id
  std::map<Choice, std::vector<OpProfile>> profiles_;  // per op, of choices that were profiled
  std::vector<graph::Work> work_;                      // per op
  std::map<const rewrite::JoinedOp*, graph::Work> joined_work_;
  graph::Ceilings ceilings_;
  // What each knob of a family bears on.
  std::map<const Family*, std::map<std::string, Bears>> bears_;
  Experience experience_;
  std::optional<LearnedCost> learned_;  // from the first measurement on
  Choice base_;  // what single options are exchanged in: the best, once something is right
};

}  // namespace kernelwright::expert

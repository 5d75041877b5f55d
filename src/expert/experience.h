// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "program/proposer.h"

namespace kernelwright::expert {

// What became of choices of one option per op. A failed choice is put down to the one option in it
// that no right choice has; to each of several such only as long as no choice was right at all.
class Experience {
 public:
  using Choice = std::vector<int>;  // option per op
  using FamilyOf = std::function<std::string(size_t op, int option)>;
  explicit Experience(FamilyOf family) : family_(std::move(family)) {}

  // The last verdict counts: what a later look finds wrong was never right.
  void learn(const Choice& choice, const program::Outcome& outcome);

  struct Right {
    Choice choice;
    std::string id;
    double seconds = 0;
  };
  // The fastest that is right; nullptr: none is.
  const Right* best() const { return best_.id.empty() ? nullptr : &best_; }
  bool anything_failed() const { return anything_failed_; }
  // A choice with it failed, and it is held to be the reason.
  bool failed(size_t op, int option) const;
  // Failures say nothing of it: every judged choice with it failed, for another option's sake.
  bool acquitted(size_t op, int option) const;
  // Two or more of the family's options failed with verdicts of one kind, and more than were right.
  bool leave_alone(size_t op, const std::string& family) const;

 private:
  struct Judged {
    Choice choice;
    program::Outcome outcome;
  };
  using Place = std::pair<size_t, int>;  // op, option
  void recount();

  FamilyOf family_;
  std::map<std::string, Judged> judged_;  // by candidate id
  Right best_;
  bool anything_failed_ = false;
  std::set<Place> right_, failed_, judged_options_;
  std::map<std::pair<size_t, std::string>, int> right_of_family_;
  std::map<std::pair<size_t, std::string>, int> failures_of_family_;  // of the commonest kind
};

}  // namespace kernelwright::expert

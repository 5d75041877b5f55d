// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/ideas.h"

namespace kernelwright::agent {

// A right program that a conversation made, or began with.
struct Member {
  std::string program;  // id
  double ms = 0;
};

// What a conversation did for its idea.
struct IdeaOutcome {
  const Idea* idea = nullptr;
  std::optional<Member> best;  // the fastest right program of the conversation
  bool gained = false;         // it was the best of all when it came
  int slower = 0;              // right but slower results since the idea's last gain
  bool cut_short = false;      // ended by a budget or a cancellation, not by itself
};

// What a synthesizer is to try next.
struct Assignment {
  const Idea* idea = nullptr;
  int round = 0;                 // from 1
  std::optional<Member> parent;  // begins with it; none: from nothing
};

// The ideas at work on one region. Plain rules and no chance, so that a run can be repeated:
// - each conversation of a round has another idea: first what gained, with an untried one beside
//   it, then what is fastest;
// - an idea goes on from its own best while that is near the best of all, so that different ways
//   stay alive beside the leader; one far behind starts again from the leader;
// - two right but slower results end an idea, as do two conversations without a right program.
class Population {
 public:
  explicit Population(const std::vector<const Idea*>& ideas);

  // Up to `count` assignments of the next round; none: all ideas are ended.
  std::vector<Assignment> next_round(int count, const std::optional<Member>& leader);
  void learn(const IdeaOutcome& outcome);

  // Rounds since one gained anything.
  int rounds_without_gain() const { return rounds_without_gain_; }
  int rounds() const { return round_; }

 private:
  struct Life {
    const Idea* idea = nullptr;
    int conversations = 0;
    int without_right = 0;  // conversations in a row that made no right program
    bool gained = false;    // in its last conversation
    bool ended = false;
    std::optional<Member> best;
  };
  Life* find(const Idea* idea);

  std::vector<Life> lives_;
  int round_ = 0;
  int rounds_without_gain_ = 0;
  bool round_gained_ = false;
};

inline constexpr int kSlowerEndsIdea = 2;
inline constexpr int kNoRightEndsIdea = 2;  // conversations
inline constexpr double kNearLeader = 1.5;  // an idea's own best goes on up to this multiple

// How much of what is left belongs to the first of these regions: time times headroom, which is
// the time that a region can still lose.
struct Headroom {
  double ms = 0, light_ms = 0;
};
double first_share(const std::vector<Headroom>& regions);

}  // namespace kernelwright::agent

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/desk.h"
#include "agent/population.h"
#include "agent/team.h"

namespace kernelwright::agent {

// What all conversations of a region share.
struct Floor {
  Desk& desk;
  Meter& meter;
  const RegionFacts& region;
  const TeamOptions& options;
  CancelToken cancel;
};

// One conversation that is to be held.
struct Brief {
  std::string id;  // "r0/1-fuse"
  Assignment assignment;
  Provider* provider = nullptr;
  std::string context;  // first message, without the task
};

struct Held {
  ConversationLog log;
  std::vector<ConversationLog> analyses;  // that it asked for
  IdeaOutcome outcome;
  std::vector<Submission> submitted;
  std::optional<Error> error;  // the model cannot go on at all
};

// Holds the conversation until its idea is ended, its bounds are reached, the model stops by
// itself, or it is cancelled. Runs on a thread of its own; tool calls wait at the desk.
Held hold_conversation(const Floor& floor, const Brief& brief);

// Asks for one concrete recommendation about a right program. `id` as in Brief. Empty when there
// was none; the log says why.
std::string analyse(const Floor& floor, Provider& provider, const std::string& id,
                    const std::string& idea, const program::Proposal& proposal,
                    const Profile& profile, ConversationLog& log, std::optional<Error>& error);

// "tokens" or "money" when a bound of the options is reached, else empty.
std::string spent_budget(const Meter& meter, const TeamOptions& options);

bool is_near_light(double ms, const RegionFacts& region, const TeamOptions& options);

// Bounds of one conversation, whatever a model does.
inline constexpr int kMaxReplies = 40;
inline constexpr int kMaxCallsPerReply = 8;
inline constexpr int kMaxCalls = 80;
inline constexpr int kFailuresEndFunctional = 8;     // programs handed in, none right
inline constexpr int kFailuresEndOptimizing = 6;     // wrong ones in a row after a right one
inline constexpr int kNudges = 2;                    // replies in a row without a program
inline constexpr int64_t kMaxInputTokens = 180'000;  // of one request

}  // namespace kernelwright::agent

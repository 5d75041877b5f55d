// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/context.h"
#include "agent/desk.h"
#include "agent/population.h"
#include "agent/provider.h"
#include "agent/timeline.h"
#include "agent/workbench.h"

namespace kernelwright::agent {

// Told before a request goes out: its messages from `first_new` on were not told before.
using OnPrompt =
    std::function<void(const Request& request, const std::string& model, size_t first_new)>;

struct TeamOptions {
  std::vector<std::shared_ptr<Provider>> models;  // taken in turn
  std::vector<std::string> hints;
  std::string playbook;
  int parallel = 3;               // synthesizers at a time
  size_t context_tokens = 24000;  // of the first message
  int64_t max_output_tokens = 16384;
  double budget_s = 60;
  int64_t max_tokens = 0;   // the meter's reading at which it ends; 0: no bound
  double max_cost_usd = 0;  // likewise, of its replies
  double near_speed_of_light = 0.92;
  int patience = 2;            // rounds without a gain before it ends
  std::function<bool()> stop;  // the user's interrupt
  OnPrompt on_prompt;
  // From time to time, on the caller's thread: conversations under way.
  std::function<void(int working)> on_progress;
};

struct TeamResult {
  std::string stop_reason;  // "budget", "tokens", "money", "near the speed of light", "no gain",
                            // "ideas exhausted", "interrupted", "model"
  std::vector<ConversationLog> conversations;  // in the order in which they began
  std::vector<Submission> finds;               // what became the best of all, oldest first
  int submitted = 0;
  std::optional<Error> error;  // of a model that cannot go on: no key, no server
};

// The supervisor, in plain code: rounds of parallel synthesizers on one region, each with another
// idea, until a bound is reached or nothing improves. All programs go through the bench, one at a
// time and on the caller's thread. Fails on troubles of our own; what a model or its server does
// wrong is in the result.
Result<TeamResult> work_on(Workbench& bench, const RegionFacts& region, Meter& meter,
                           const TeamOptions& options);

}  // namespace kernelwright::agent

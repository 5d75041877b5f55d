// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "agent/conversation.h"
#include "agent/desk.h"

namespace kernelwright::agent {

// One conversation as the report shows it.
struct ConversationLog {
  std::string id;    // "r0/1-fuse", "r0/1-fuse/analyst-1"
  std::string role;  // "synthesizer", "analyst"
  std::string region, idea, model;
  double start_s = 0, end_s = 0;  // since the agents began with the region
  int replies = 0, replayed = 0;
  Usage usage;          // replayed replies included: what the conversation took
  double cost_usd = 0;  // paid in this run
  std::vector<ToolUse> calls;
  std::string said;   // analyst: the recommendation
  std::string ended;  // why: "two right but slower results", "budget", ...
};
nlohmann::json to_json(const ConversationLog& log);

// What a reply costs in USD; 0 when it came from a transcript or has no price.
using PriceOf = std::function<double(const std::string& model, const Reply& reply)>;

// Tokens and money of a run, while it runs. Thread-safe.
class Meter {
 public:
  explicit Meter(PriceOf price = {}) : price_(std::move(price)) {}
  // Counts a reply, here and in the log.
  void count(const std::string& model, const Reply& reply, ConversationLog& log);

  struct Reading {
    int conversations = 0, replies = 0, replayed = 0;
    Usage usage;
    double cost_usd = 0;
    int64_t tokens() const;
    int64_t fresh_tokens = 0;  // of replies that were asked for in this run
  };
  Reading read() const;
  void begin_conversation();

 private:
  PriceOf price_;
  mutable std::mutex mutex_;
  Reading reading_;
};
nlohmann::json to_json(const Meter::Reading& reading);
// "12.3k tokens, $0.04"; money only when there is any.
std::string meter_text(const Meter::Reading& reading);

}  // namespace kernelwright::agent

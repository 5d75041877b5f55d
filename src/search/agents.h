// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace kernelwright::search {

class OpenedRun;
struct OpenedRegion;

// What `optimize` was told about agents (docs/agents.md).
struct AgentOptions {
  std::vector<std::string> models;  // as the user names them
  std::vector<std::string> hints;   // texts
  double max_cost_usd = 0;          // 0: no bound
  int64_t max_tokens = 0;           // both ways, of the whole run; 0: no bound
  std::filesystem::path replay;     // a run's folder whose replies are used again; empty: none
  bool show_prompts = false;        // on stderr, in full
};

// The agents of one run: their models with transcript and books, and what they took so far.
class Agents {
 public:
  // Says what cannot work before anything is started: kUsage on a model's name or a missing price,
  // kEnvironment on a missing key, kInput when there is nothing to replay.
  static Status check(const AgentOptions& options);
  // The run outlives it.
  static Result<std::unique_ptr<Agents>> open(const AgentOptions& options, OpenedRun& run);
  virtual ~Agents() = default;

  // Their turn at a region, which then is searched by the params that their best program leaves
  // open. `share` is the region's part of the tokens and the money that are left. Ends early,
  // without an error, when there is no headroom, on an interrupt, or when a model cannot go on
  // (it is told, and stands in the result) unless no model ever answered and nothing is right.
  virtual Status work(OpenedRegion& region, double budget_s, double share) = 0;

  // conversations.jsonl into the run's folder, and what they took into the result.
  virtual Status close() = 0;
};

}  // namespace kernelwright::search

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "program/parse.h"
#include "referee/verdict.h"
#include "target/target.h"
#include "torch/worker.h"

namespace kernelwright::referee {

class DrawSource;

// What is judged: one region under one policy.
struct Subject {
  std::string region;  // id known to the torch worker
  program::Interface interface;
  target::Policy policy = target::Policy::kStrict;
};

program::Interface interface_of(const graph::Graph& graph, const graph::Region& region);

struct RefereeOptions {
  int threads = 1;
  uint64_t seed = 0;  // 0: unpredictable
  int search_draws = 5;
  double deadline_s = 20;  // of one candidate's judged calls, by the coordinator's clock
  uint64_t memory_bytes = 8ull << 30;
  double search_time_s = 0.4;    // bound of one search timing
  double promotion_time_s = 15;  // bound of one promotion timing
  std::string speed_of_light_note;
  double speed_of_light_s =
      0;                     // faster than this is a fault or a cheat, never an answer; 0: unknown
  uint64_t flush_bytes = 0;  // rewritten before every timed call; 0: twice the last-level cache
  std::string bench_worker;  // executable with the `bench-worker` command; empty: our own
};

// A candidate ready to be judged, or its verdict already (build_failed, refused, or malformed).
struct Prepared {
  program::Candidate candidate;
  std::string id;
  std::optional<target::BuiltObject> object;
  std::optional<Verdict> early;
};

// Baseline figures of the subject, from promotion or the cache.
struct Baselines {
  std::vector<std::pair<std::string, double>> ms;  // name, median
  std::string best_name;
  double best_ms = 0;
  std::vector<std::string> notes;  // "compile: failed: ..."
};

// Builds, runs, verifies and times programs for one subject. Knows nothing of who proposed them.
// Verdicts are values; a Result fails only on troubles of our own.
class Referee {
 public:
  static Result<std::unique_ptr<Referee>> open(Subject subject, target::Target& target,
                                               torch::Worker& torch, RefereeOptions options);
  // The same with draws and baseline times from elsewhere (tests).
  static Result<std::unique_ptr<Referee>> open_with(Subject subject, target::Target& target,
                                                    std::unique_ptr<DrawSource> source,
                                                    RefereeOptions options);
  virtual ~Referee() = default;

  // Draws the bank and starts the bench workers; otherwise done by the first judge(). Set-up,
  // outside any budget. The reason, in one line, when no program of this subject can be judged.
  virtual Result<std::optional<std::string>> get_ready() = 0;
  // Validates, builds (in parallel processes) and screens a batch. Never runs beside a timing.
  virtual Result<std::vector<Prepared>> prepare(std::vector<program::Candidate> batch) = 0;
  // Search tier: verifies on the bank, then alternates with the incumbent (nullptr: alone).
  // kAccepted: right, and faster than the incumbent with confidence, or there is none. `time_s`
  // bounds the timing (0: options.search_time_s); successive halving judges again with more of it.
  virtual Result<Verdict> judge(const Prepared& candidate, const Prepared* incumbent,
                                double time_s = 0) = 0;
  // Promotion: clean rebuild, new seeds, every draw kind, all screens, real baselines in
  // alternation. kAccepted: right, and faster than the fastest baseline with confidence.
  virtual Result<Verdict> promote(const Prepared& candidate) = 0;
  // Times of eager and torch.compile alone, measured on first use: set-up, not search.
  virtual Result<Baselines> baselines() = 0;
};

}  // namespace kernelwright::referee

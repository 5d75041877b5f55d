// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "search/run_result.h"
#include "search/session.h"

namespace kernelwright::search {

// Of all processors, used by others: enough to disturb a timing.
inline constexpr double kBusyShare = 0.05;

struct FinalCheckOptions {
  double timing_s = 8;        // warm comparison, original against drop-in against torch.compile
  double fresh_timing_s = 2;  // the same with fresh memory, without torch.compile
  bool with_compile = true;
  uint64_t seed = 0;
  torch::Worker::Traffic traffic = {};  // of a call; with none, memory alone is not timed
};

// The last word on an artifact: its drop-in module against the original module, on fresh inputs and
// in alternation, in a process of its own.
struct FinalCheck {
  bool right = false;
  std::string reason;  // when not right: which output, where, expected and got
  referee::ErrorFigures candidate_error, eager_error;  // worst over the draws
  BaselineFigures baseline;
  BestFigures best;                     // speedup against the fastest baseline
  std::vector<Comparison> comparisons;  // against each, "eager" first
  FreshFigures fresh;
  std::optional<double> memory_ms;  // of the traffic alone, among the same calls
  double prepare_ms = 0;
  // Share of the machine's processor time that other programs used while it was timed (0 to 1).
  double others_share = 0;
  bool disturbed() const { return others_share > kBusyShare; }
  bool faster() const { return right && best.speedup_low > 1; }
};

// `session` gives the draws and the oracle; the drop-in runs in a second torch worker.
Result<FinalCheck> check_artifact(Session& session, const std::filesystem::path& artifact,
                                  const torch::WorkloadSpec& spec,
                                  const FinalCheckOptions& options);

// Cold-cache flush of this machine, in bytes.
size_t flush_bytes(const Session& session);

}  // namespace kernelwright::search

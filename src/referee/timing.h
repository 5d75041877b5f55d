// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "referee/draw_source.h"
#include "referee/statistics.h"
#include "referee/verify.h"

namespace kernelwright::referee {

struct TimingOptions {
  double bound_s = 0.4;         // soft bound of one comparison
  double speed_of_light_s = 0;  // 0: unknown
  uint64_t flush_bytes = 0;
  double launch_allowance_ms = 0;  // Space::launch_allowance_ms of the candidate's plan
};

// Median, spread and paired ratio of a comparison.
Timing summarize(const PairedComparison& comparison, const std::string& reference);

// Search tier: cold calls of candidate and incumbent (may be null) in turns inside one worker, over
// the draws' content in rotation; outputs of timed calls are verified, claimed times are held
// against our own clock. Draws must share weights and be verified.
Reply<Timing> time_in_worker(Session& session, JudgedProgram& candidate, JudgedProgram* incumbent,
                             const std::vector<const BankDraw*>& draws,
                             const TimingOptions& options, uint64_t random);

// Cold calls of a program step by step: what share of its time each step takes, and what the
// processor counts. Empty for a program of one step where it counts no cycles.
Reply<std::vector<program::StepProfile>> time_steps(Session& session, JudgedProgram& candidate,
                                                    const program::Program& program,
                                                    const BankDraw& draw);

// Promotion: rounds of a few cold calls each of the candidate and of every baseline, taken in
// turns. One Timing per baseline, in the order of `names`.
Result<Reply<std::vector<Timing>>> time_against_baselines(
    Session& session, JudgedProgram& candidate, DrawSource& source,
    const std::vector<std::string>& names, const std::vector<const BankDraw*>& draws,
    const TimingOptions& options, uint64_t random);

}  // namespace kernelwright::referee

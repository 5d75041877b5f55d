// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "archive/archive.h"
#include "program/proposer.h"
#include "referee/referee.h"
#include "search/budget.h"
#include "search/contest.h"

namespace kernelwright::search {

// How long a search goes on.
struct SearchPace {
  double budget_s = 120;
  double speed_of_light_s = 0;
  double near_speed_of_light = 0.92;  // stop when the best reaches this share
  int batch = 6;                      // proposals built together and judged one after another
  int patience = 8;                   // batches without a gain before it ends
  std::function<bool()> stop;         // asked between verdicts, beside the interrupt; may be empty
};

struct RegionSearchOptions : SearchPace, ContestOptions {};

// One improvement, for the curve of best over time.
struct CurvePoint {
  double elapsed_s = 0;
  double ms = 0;
  std::string program;
  std::string idea;
};

// What was said of a program's time before it was measured, and the time, in seconds.
struct LearnedFigure {
  double predicted = 0;  // by the machine model
  double learned = 0;    // corrected by what was measured until then
  double measured = 0;
};

// A schedule of a similar shape (transfer.h), as it was judged here.
struct TakenOver {
  std::string program;  // its id here
  std::string from;     // the program that it was taken from
  std::string verdict;  // the last
  double ms = 0;        // 0: not right
};

struct RegionSearchResult {
  std::optional<referee::Prepared> best;      // correct, and the fastest of the search tier
  std::vector<referee::Prepared> runners_up;  // next best, for when promotion refuses the best
  double best_ms = 0;
  double share_of_libraries = 0;        // of the best
  std::map<std::string, int> verdicts;  // verdict name -> count
  std::vector<CurvePoint> curve;
  // Seconds, once for every correct program, by its last measurement.
  std::vector<std::pair<double, double>> predicted_measured;
  std::vector<LearnedFigure> learned;  // of those with a learned prediction
  std::vector<TakenOver> taken_over;   // in the order of judging
  int tried = 0;
  double elapsed_s = 0;
  std::string stop_reason;  // "budget", "near the speed of light", "ideas exhausted", "no gain",
                            // "interrupted"
};

// Told after every verdict, for the progress line.
using OnVerdict = std::function<void(const RegionSearchResult&, const Budget&)>;

// Searches one region: asks the proposer for a batch, builds it, measures by successive halving
// against the incumbent, records every verdict before anything else happens, and tells the
// proposer. What is known from earlier counts, its best is the first incumbent, and a proposal
// among it is answered from it.
Result<RegionSearchResult> search_region(program::Proposer& proposer, referee::Referee& referee,
                                         archive::Archive& archive,
                                         const std::vector<program::Proposal>& first,
                                         const RegionSearchOptions& options,
                                         const OnVerdict& on_verdict);

// The same within a contest that others take part in as well.
Result<RegionSearchResult> search_region(program::Proposer& proposer, Contest& contest,
                                         const std::vector<program::Proposal>& first,
                                         const SearchPace& pace, const OnVerdict& on_verdict);

}  // namespace kernelwright::search

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "archive/archive.h"
#include "program/proposer.h"
#include "referee/referee.h"
#include "search/resume.h"

namespace kernelwright::search {

// How many are kept beside the best, for when promotion refuses it.
inline constexpr size_t kRunnersUp = 3;

// A program that proved right, with its time on the clock of the best.
struct Contender {
  referee::Prepared prepared;
  program::Proposal proposal;
  double ms = 0;
};

struct ContestOptions {
  std::string run, subject;        // where the archive puts the verdicts
  std::filesystem::path best_dir;  // the best so far is always written here (atomically)
  Earlier earlier;                 // a resumed contest begins with this
};

// The programs of one region against each other: whoever proposes one, it is built, judged against
// the best so far, recorded before anything else happens, and remembered when right. A search, a
// model's tool calls and a coding agent share it.
class Contest {
 public:
  Contest(referee::Referee& referee, archive::Archive& archive, ContestOptions options)
      : referee_(referee), archive_(archive), options_(std::move(options)) {}

  // Prepares what is known from earlier; its best is the first to beat. Done once; later calls do
  // nothing. The outcomes of those that do not build any more.
  Result<std::vector<program::Outcome>> take_up();
  const Earlier& earlier() const { return options_.earlier; }

  // The last outcome, here or in the earlier run; null: it was not judged yet.
  const program::Outcome* known(const std::string& id) const;
  Result<std::vector<referee::Prepared>> prepare(std::vector<program::Candidate> batch);

  struct Ruling {
    referee::Verdict verdict;
    program::Outcome outcome;
    double ms = 0;  // right: on the clock of the best; else 0
    // Right, and not surely slower than the best: worth more time.
    bool in_play = false;
  };
  // A verdict that came with the preparation is recorded; every other program is judged against the
  // best for at most `time_s` (0: the referee's own). Not to be called for the best itself.
  Result<Ruling> rule(const program::Proposal& proposal, const referee::Prepared& prepared,
                      double time_s);

  // A verdict without an opponent and without a record: right or not, and about how fast.
  Result<referee::Verdict> look(const referee::Prepared& prepared, double time_s);

  const std::optional<Contender>& best() const { return best_; }
  const std::vector<Contender>& others() const { return others_; }  // fastest first
  int tried() const { return static_cast<int>(counted_.size()); }
  const std::map<std::string, int>& verdicts() const { return verdicts_; }

 private:
  Status crown(Contender contender);
  void forget(const std::string& id);
  void remember(Contender contender);
  Result<program::Outcome> record(const program::Proposal& proposal,
                                  const referee::Prepared& prepared,
                                  const referee::Verdict& verdict);

  referee::Referee& referee_;
  archive::Archive& archive_;
  ContestOptions options_;
  std::optional<Contender> best_;
  std::vector<Contender> others_;
  std::set<std::string> counted_;
  std::map<std::string, int> verdicts_;
  bool taken_up_ = false;
  std::map<std::string, program::Outcome> outcomes_;  // of verdicts given here
};

}  // namespace kernelwright::search

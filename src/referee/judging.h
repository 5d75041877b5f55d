// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "referee/bank.h"
#include "referee/baseline_times.h"
#include "referee/referee.h"
#include "referee/space.h"
#include "referee/timing.h"
#include "referee/verify.h"
#include "referee/workers.h"

namespace kernelwright::referee {

// What one subject is judged with; both tiers use it.
class Judging {
 public:
  Judging(Subject subject, std::unique_ptr<Space> space, std::unique_ptr<DrawSource> source,
          RefereeOptions options);
  Judging(const Judging&) = delete;

  // For timing one candidate, within a soft bound.
  TimingOptions timing(const Prepared& candidate, double bound_s) const;
  // What watching the device showed since space->watch().
  void note_conditions(Verdict& verdict);

  const Subject subject;
  RefereeOptions options;
  const std::unique_ptr<DrawSource> source;
  const std::unique_ptr<Space> space;
  Bank bank;
  Workers workers;
  BaselineTimes baselines;

 private:
  bool said_busy_ = false;
};

// Closes a verdict with what the judging has found out. Both must outlive it.
class Finisher {
 public:
  Finisher(Verdict& verdict, const JudgedProgram& judged) : verdict_(verdict), judged_(judged) {}
  Verdict operator()(VerdictKind kind, std::string reason) const {
    verdict_.kind = kind;
    verdict_.reason = std::move(reason);
    verdict_.candidate_error = judged_.candidate_error();
    verdict_.eager_error = judged_.eager_error();
    verdict_.prepare_ms = judged_.prepare_ms();
    verdict_.draws = judged_.draws();
    return verdict_;
  }
  // A failure of our own is no verdict.
  Result<Verdict> operator()(const Trouble& trouble) const {
    if (trouble.ours) return fail(*trouble.ours);
    return (*this)(trouble.kind, trouble.reason);
  }

 private:
  Verdict& verdict_;
  const JudgedProgram& judged_;
};

Verdict rejected(Tier tier, VerdictKind kind, std::string reason, std::string detail = "");
// A failure of our own is no verdict.
Result<Verdict> rejected(Tier tier, const Trouble& trouble);
// Whether the timing shows with confidence that the candidate is faster.
bool is_faster(const Timing& timing);
// kAccepted when it is, else kSlower.
Result<Verdict> decided(const Finisher& finish, const Timing& timing);

}  // namespace kernelwright::referee

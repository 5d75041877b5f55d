// SPDX-License-Identifier: Apache-2.0
#include "search/contest.h"

#include <algorithm>

namespace kernelwright::search {

Result<std::vector<program::Outcome>> Contest::take_up() {
  if (taken_up_) return std::vector<program::Outcome>();
  taken_up_ = true;
  const auto& earlier = options_.earlier;
  for (const auto& [id, outcome] : earlier.outcomes) counted_.insert(id);
  verdicts_ = earlier.verdicts;
  std::vector<program::Outcome> failed;
  if (earlier.right.empty()) return failed;
  std::vector<program::Candidate> candidates;
  for (const auto& right : earlier.right) candidates.push_back(right.proposal.candidate);
  KW_TRY(std::vector<referee::Prepared> prepared, prepare(std::move(candidates)));
  for (size_t i = 0; i < prepared.size(); ++i) {
    const auto& right = earlier.right[i];
    if (prepared[i].early) {
      KW_TRY(auto outcome, record(right.proposal, prepared[i], *prepared[i].early));
      failed.push_back(std::move(outcome));
      continue;
    }
    Contender contender{std::move(prepared[i]), right.proposal, right.ms};
    if (best_) {
      remember(std::move(contender));
    } else {
      KW_CHECK_OK(crown(std::move(contender)));
    }
  }
  return failed;
}

const program::Outcome* Contest::known(const std::string& id) const {
  if (const auto it = outcomes_.find(id); it != outcomes_.end()) return &it->second;
  const auto it = options_.earlier.outcomes.find(id);
  return it == options_.earlier.outcomes.end() ? nullptr : &it->second;
}

Result<std::vector<referee::Prepared>> Contest::prepare(std::vector<program::Candidate> batch) {
  const size_t asked = batch.size();
  KW_TRY(std::vector<referee::Prepared> prepared, referee_.prepare(std::move(batch)));
  if (prepared.size() != asked)
    return fail(ErrorKind::kInternal, "referee prepared another number of candidates than asked");
  return prepared;
}

Result<Contest::Ruling> Contest::rule(const program::Proposal& proposal,
                                      const referee::Prepared& prepared, double time_s) {
  Ruling ruling;
  if (prepared.early) {
    ruling.verdict = *prepared.early;
    KW_TRY(ruling.outcome, record(proposal, prepared, ruling.verdict));
    return ruling;
  }
  KW_TRY(ruling.verdict, referee_.judge(prepared, best_ ? &best_->prepared : nullptr, time_s));
  const auto& verdict = ruling.verdict;
  KW_TRY(ruling.outcome, record(proposal, prepared, verdict));
  if (!verdict.correct() || !verdict.timing) {
    forget(prepared.id);
    return ruling;
  }
  ruling.ms = ruling.outcome.seconds * 1e3;
  const bool accepted = verdict.kind == referee::VerdictKind::kAccepted;
  ruling.in_play = accepted || verdict.timing->speedup_high >= 1;
  Contender contender{prepared, proposal, ruling.ms};
  if (accepted) {
    KW_CHECK_OK(crown(std::move(contender)));
  } else {
    remember(std::move(contender));
  }
  return ruling;
}

Result<referee::Verdict> Contest::look(const referee::Prepared& prepared, double time_s) {
  if (prepared.early) return *prepared.early;
  return referee_.judge(prepared, nullptr, time_s);
}

Status Contest::crown(Contender contender) {
  forget(contender.prepared.id);
  if (best_) remember(std::move(*best_));
  best_ = std::move(contender);
  if (!options_.best_dir.empty())
    KW_CHECK_OK(program::write_candidate(best_->prepared.candidate, options_.best_dir));
  return {};
}

void Contest::forget(const std::string& id) {
  std::erase_if(others_, [&](const Contender& c) { return c.prepared.id == id; });
}

void Contest::remember(Contender contender) {
  forget(contender.prepared.id);
  others_.push_back(std::move(contender));
  std::stable_sort(others_.begin(), others_.end(),
                   [](const Contender& a, const Contender& b) { return a.ms < b.ms; });
  if (others_.size() > kRunnersUp) others_.pop_back();
}

Result<program::Outcome> Contest::record(const program::Proposal& proposal,
                                         const referee::Prepared& prepared,
                                         const referee::Verdict& verdict) {
  auto recorded = archive_.record(options_.run, options_.subject, proposal, prepared.id, verdict);
  if (!recorded) return fail(recorded.error());
  counted_.insert(prepared.id);
  ++verdicts_[referee::verdict_name(verdict.kind)];
  program::Outcome outcome;
  outcome.candidate_id = prepared.id;
  outcome.verdict = referee::verdict_name(verdict.kind);
  outcome.reason = verdict.reason;
  outcome.correct = verdict.correct();
  if (verdict.timing) {
    const double ms =
        best_ ? best_->ms / std::max(verdict.timing->speedup, 1e-9) : verdict.timing->ms;
    outcome.seconds = ms / 1e3;
  }
  outcome.steps = verdict.steps;
  outcomes_[prepared.id] = outcome;
  return outcome;
}

}  // namespace kernelwright::search

// SPDX-License-Identifier: Apache-2.0
#include "search/region_search.h"

#include <algorithm>
#include <limits>
#include <set>

#include "search/halving.h"

namespace kernelwright::search {
namespace {

constexpr double kFirstTiming = 0.1;  // seconds, rung 0; doubled per rung
constexpr int kRungs = 3;
constexpr int kFirstBatch = 2;

// A candidate that proved right, with its time on the incumbent's clock.
struct Member {
  referee::Prepared prepared;
  program::Proposal proposal;
  double ms = 0;
};

class RegionSearch {
 public:
  RegionSearch(program::Proposer& proposer, referee::Referee& referee, archive::Archive& archive,
               const RegionSearchOptions& options, const OnVerdict& on_verdict)
      : proposer_(proposer),
        referee_(referee),
        archive_(archive),
        options_(options),
        on_verdict_(on_verdict),
        budget_(options.budget_s) {}

  Result<RegionSearchResult> run(std::vector<program::Proposal> first) {
    KW_CHECK_OK(take_up(options_.earlier));
    int without_gain = 0;
    while (true) {
      if (auto reason = stop_reason(without_gain)) {
        result_.stop_reason = *reason;
        break;
      }
      std::vector<program::Proposal> batch = std::move(first);
      first.clear();
      if (batch.empty()) {
        // A small first batch, so that there soon is a best so far.
        KW_TRY(batch, proposer_.propose(anything() ? options_.batch : kFirstBatch));
      }
      if (batch.empty()) {
        result_.stop_reason = "ideas exhausted";
        break;
      }
      const std::string before = incumbent_id();
      KW_TRY(const bool judged, judge_batch(std::move(batch)));
      // A batch that was known already says nothing about what is still to gain.
      if (judged) without_gain = incumbent_id() == before ? without_gain + 1 : 0;
    }
    return finish();
  }

 private:
  std::optional<std::string> stop_reason(int without_gain) const {
    if (interrupted()) return "interrupted";
    // However small the budget, the first batch is judged.
    if (budget_.spent() && anything()) return "budget";
    if (incumbent_ && options_.speed_of_light_s > 0 &&
        options_.speed_of_light_s * 1e3 >= options_.near_speed_of_light * incumbent_->ms)
      return "near the speed of light";
    if (incumbent_ && without_gain >= options_.patience) return "no gain";
    return std::nullopt;
  }

  std::string incumbent_id() const { return incumbent_ ? incumbent_->prepared.id : ""; }

  bool anything() const { return incumbent_ || judged_ > 0; }

  Status take_up(const Earlier& earlier) {
    for (const auto& [id, outcome] : earlier.outcomes) counted_.insert(id);
    result_.tried = static_cast<int>(counted_.size());
    result_.verdicts = earlier.verdicts;
    result_.predicted_measured = earlier.predicted_measured;
    if (earlier.right.empty()) return {};
    std::vector<program::Candidate> candidates;
    for (const auto& right : earlier.right) candidates.push_back(right.proposal.candidate);
    KW_TRY(std::vector<referee::Prepared> prepared, referee_.prepare(std::move(candidates)));
    if (prepared.size() != earlier.right.size())
      return fail(ErrorKind::kInternal, "referee prepared another number of candidates than asked");
    for (size_t i = 0; i < prepared.size(); ++i) {
      const auto& right = earlier.right[i];
      if (prepared[i].early) {
        KW_CHECK_OK(record(right.proposal, prepared[i], *prepared[i].early));
        tell();
        continue;
      }
      Member member{std::move(prepared[i]), right.proposal, right.ms};
      if (incumbent_) {
        remember(std::move(member));
      } else {
        KW_CHECK_OK(crown(std::move(member)));
      }
    }
    result_.best_ms = incumbent_ ? incumbent_->ms : 0;
    return {};
  }

  // False when each of them was judged earlier.
  Result<bool> judge_batch(std::vector<program::Proposal> batch) {
    std::vector<program::Candidate> candidates;
    std::vector<program::Proposal> proposals;
    bool known = false;
    for (auto& proposal : batch) {
      const std::string id = program::candidate_id(proposal.candidate);
      if (!seen_.insert(id).second) continue;
      if (const auto it = options_.earlier.outcomes.find(id);
          it != options_.earlier.outcomes.end()) {
        proposer_.learn(it->second);
        known = true;
        continue;
      }
      candidates.push_back(proposal.candidate);
      proposals.push_back(std::move(proposal));
    }
    if (candidates.empty()) return !known;
    KW_TRY(std::vector<referee::Prepared> prepared, referee_.prepare(std::move(candidates)));
    if (prepared.size() != proposals.size())
      return fail(ErrorKind::kInternal, "referee prepared another number of candidates than asked");

    std::vector<size_t> alive;
    for (size_t i = 0; i < prepared.size(); ++i) {
      if (prepared[i].early) {
        KW_CHECK_OK(record(proposals[i], prepared[i], *prepared[i].early));
        tell();
      } else {
        alive.push_back(i);
      }
    }
    Status trouble;
    const auto measure = [&](size_t slot, double time_s) {
      const size_t i = alive[slot];
      auto verdict = judge_one(proposals[i], prepared[i], time_s);
      if (!verdict) {
        trouble = fail(verdict.error());
        return std::numeric_limits<double>::infinity();
      }
      return *verdict;
    };
    successive_halving(alive.size(), kFirstTiming, kRungs, measure, [&] {
      return !trouble || (incumbent_ && budget_.spent()) || interrupted();
    });
    if (!trouble) return fail(trouble.error());
    return true;
  }

  // The candidate's time on a scale that is the same for all: incumbent's time / measured ratio.
  // Infinity when it is wrong or surely slower than the incumbent.
  Result<double> judge_one(const program::Proposal& proposal, const referee::Prepared& prepared,
                           double time_s) {
    const bool is_incumbent = incumbent_ && incumbent_->prepared.id == prepared.id;
    if (is_incumbent) return incumbent_->ms;
    KW_TRY(referee::Verdict verdict,
           referee_.judge(prepared, incumbent_ ? &incumbent_->prepared : nullptr, time_s));
    KW_CHECK_OK(record(proposal, prepared, verdict));
    if (!verdict.correct() || !verdict.timing) {
      forget(prepared.id);
      tell();
      return std::numeric_limits<double>::infinity();
    }
    const auto& timing = *verdict.timing;
    const double ms = incumbent_ ? incumbent_->ms / std::max(timing.speedup, 1e-9) : timing.ms;
    Member member{prepared, proposal, ms};
    if (verdict.kind == referee::VerdictKind::kAccepted) {
      KW_CHECK_OK(crown(std::move(member)));
    } else {
      remember(std::move(member));
    }
    tell();
    const bool surely_slower =
        verdict.kind != referee::VerdictKind::kAccepted && timing.speedup_high < 1;
    return surely_slower ? std::numeric_limits<double>::infinity() : ms;
  }

  Status crown(Member member) {
    forget(member.prepared.id);
    if (incumbent_) remember(std::move(*incumbent_));
    incumbent_ = std::move(member);
    result_.curve.push_back(
        {budget_.elapsed(), incumbent_->ms, incumbent_->prepared.id, incumbent_->proposal.idea});
    if (!options_.best_dir.empty())
      KW_CHECK_OK(program::write_candidate(incumbent_->prepared.candidate, options_.best_dir));
    return {};
  }

  void forget(const std::string& id) {
    std::erase_if(others_, [&](const Member& m) { return m.prepared.id == id; });
  }

  void remember(Member member) {
    forget(member.prepared.id);
    others_.push_back(std::move(member));
    std::stable_sort(others_.begin(), others_.end(),
                     [](const Member& a, const Member& b) { return a.ms < b.ms; });
    if (others_.size() > kRunnersUp) others_.pop_back();
  }

  Status record(const program::Proposal& proposal, const referee::Prepared& prepared,
                const referee::Verdict& verdict) {
    auto recorded = archive_.record(options_.run, options_.subject, proposal, prepared.id, verdict);
    if (!recorded) return fail(recorded.error());
    ++judged_;
    if (counted_.insert(prepared.id).second) ++result_.tried;
    ++result_.verdicts[referee::verdict_name(verdict.kind)];
    program::Outcome outcome;
    outcome.candidate_id = prepared.id;
    outcome.verdict = referee::verdict_name(verdict.kind);
    outcome.reason = verdict.reason;
    outcome.correct = verdict.correct();
    if (verdict.timing) {
      const double ms = incumbent_ ? incumbent_->ms / std::max(verdict.timing->speedup, 1e-9)
                                   : verdict.timing->ms;
      outcome.seconds = ms / 1e3;
      if (proposal.predicted_s > 0 && verdict.correct())
        result_.predicted_measured.emplace_back(proposal.predicted_s, outcome.seconds);
    }
    proposer_.learn(outcome);
    return {};
  }

  void tell() {
    result_.best_ms = incumbent_ ? incumbent_->ms : 0;
    if (on_verdict_) on_verdict_(result_, budget_);
  }

  RegionSearchResult finish() {
    if (incumbent_) {
      result_.best_ms = incumbent_->ms;
      result_.library_share = incumbent_->proposal.library_share;
      result_.best = std::move(incumbent_->prepared);
    }
    for (auto& member : others_) result_.runners_up.push_back(std::move(member.prepared));
    result_.elapsed_s = budget_.elapsed();
    return std::move(result_);
  }

  program::Proposer& proposer_;
  referee::Referee& referee_;
  archive::Archive& archive_;
  const RegionSearchOptions& options_;
  const OnVerdict& on_verdict_;
  Budget budget_;
  std::optional<Member> incumbent_;
  std::vector<Member> others_;
  std::set<std::string> seen_, counted_;
  int judged_ = 0;  // verdicts of this search
  RegionSearchResult result_;
};

}  // namespace

Result<RegionSearchResult> search_region(program::Proposer& proposer, referee::Referee& referee,
                                         archive::Archive& archive,
                                         const std::vector<program::Proposal>& first,
                                         const RegionSearchOptions& options,
                                         const OnVerdict& on_verdict) {
  return RegionSearch(proposer, referee, archive, options, on_verdict).run(first);
}

}  // namespace kernelwright::search

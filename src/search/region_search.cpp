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

class RegionSearch {
 public:
  RegionSearch(program::Proposer& proposer, Contest& contest, const SearchPace& pace,
               const OnVerdict& on_verdict)
      : proposer_(proposer),
        contest_(contest),
        pace_(pace),
        on_verdict_(on_verdict),
        budget_(pace.budget_s) {}

  Result<RegionSearchResult> run(std::vector<program::Proposal> first) {
    KW_CHECK_OK(take_up());
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
        KW_TRY(batch, proposer_.propose(anything() ? pace_.batch : kFirstBatch));
      }
      if (batch.empty()) {
        result_.stop_reason = "ideas exhausted";
        break;
      }
      const std::string before = best_id();
      KW_TRY(const bool judged, judge_batch(std::move(batch)));
      // A batch that was known already says nothing about what is still to gain.
      if (judged) without_gain = best_id() == before ? without_gain + 1 : 0;
    }
    return finish();
  }

 private:
  // What an earlier run knew, and what of it does not build any more.
  Status take_up() {
    result_.predicted_measured = contest_.earlier().predicted_measured;
    KW_TRY(const auto failed, contest_.take_up());
    note_best();
    for (const auto& outcome : failed) learn(outcome);
    return {};
  }

  void learn(const program::Outcome& outcome) {
    ++judged_;
    proposer_.learn(outcome);
    note_best();
    tell();
  }

  bool anything() const { return contest_.best() || judged_ > 0; }

  bool told_to_stop() const { return interrupted() || (pace_.stop && pace_.stop()); }

  std::optional<std::string> stop_reason(int without_gain) const {
    if (told_to_stop()) return "interrupted";
    // However small the budget, the first batch is judged.
    if (budget_.spent() && anything()) return "budget";
    const auto& best = contest_.best();
    if (best && pace_.speed_of_light_s > 0 &&
        pace_.speed_of_light_s * 1e3 >= pace_.near_speed_of_light * best->ms)
      return "near the speed of light";
    if (best && without_gain >= pace_.patience) return "no gain";
    return std::nullopt;
  }

  std::string best_id() const { return contest_.best() ? contest_.best()->prepared.id : ""; }

  // False when each of them was judged earlier.
  Result<bool> judge_batch(std::vector<program::Proposal> batch) {
    std::vector<program::Candidate> candidates;
    std::vector<program::Proposal> proposals;
    bool known = false;
    for (auto& proposal : batch) {
      const std::string id = program::candidate_id(proposal.candidate);
      if (!seen_.insert(id).second) continue;
      if (const auto* outcome = contest_.known(id)) {
        proposer_.learn(*outcome);
        known = true;
        continue;
      }
      candidates.push_back(proposal.candidate);
      proposals.push_back(std::move(proposal));
    }
    if (candidates.empty()) return !known;
    KW_TRY(const std::vector<referee::Prepared> prepared, contest_.prepare(std::move(candidates)));

    std::vector<size_t> alive;
    for (size_t i = 0; i < prepared.size(); ++i) {
      if (!prepared[i].early) {
        alive.push_back(i);
        continue;
      }
      KW_TRY(auto ruling, contest_.rule(proposals[i], prepared[i], 0));
      note_taken_over(proposals[i], ruling);
      learn(ruling.outcome);
    }
    Status trouble;
    const auto measure = [&](size_t slot, double time_s) {
      const size_t i = alive[slot];
      auto ms = judge_one(proposals[i], prepared[i], time_s);
      if (!ms) {
        trouble = fail(ms.error());
        return std::numeric_limits<double>::infinity();
      }
      return *ms;
    };
    successive_halving(alive.size(), kFirstTiming, kRungs, measure, [&] {
      return !trouble || (contest_.best() && budget_.spent()) || told_to_stop();
    });
    if (!trouble) return fail(trouble.error());
    return true;
  }

  // The candidate's time on a scale that is the same for all: incumbent's time / measured ratio.
  // Infinity when it is wrong or surely slower than the incumbent.
  Result<double> judge_one(const program::Proposal& proposal, const referee::Prepared& prepared,
                           double time_s) {
    if (best_id() == prepared.id) return contest_.best()->ms;
    KW_TRY(const auto ruling, contest_.rule(proposal, prepared, time_s));
    note_predictions(proposal, ruling);
    note_taken_over(proposal, ruling);
    learn(ruling.outcome);
    return ruling.in_play ? ruling.ms : std::numeric_limits<double>::infinity();
  }

  // What was predicted before the first measurement, beside the last.
  void note_predictions(const program::Proposal& proposal, const Contest::Ruling& ruling) {
    if (proposal.predicted_s <= 0 || !ruling.verdict.correct() || !ruling.verdict.timing) return;
    const double measured = ruling.outcome.seconds;
    const auto [place, is_new] = places_.try_emplace(
        ruling.outcome.candidate_id, result_.predicted_measured.size(), result_.learned.size());
    if (is_new) {
      result_.predicted_measured.emplace_back(proposal.predicted_s, measured);
      if (proposal.learned_s > 0)
        result_.learned.push_back({proposal.predicted_s, proposal.learned_s, measured});
      return;
    }
    result_.predicted_measured[place->second.first].second = measured;
    if (proposal.learned_s > 0) result_.learned[place->second.second].measured = measured;
  }

  void note_taken_over(const program::Proposal& proposal, const Contest::Ruling& ruling) {
    if (proposal.taken_from.empty()) return;
    auto& all = result_.taken_over;
    auto it = std::find_if(all.begin(), all.end(), [&](const TakenOver& one) {
      return one.program == ruling.outcome.candidate_id;
    });
    if (it == all.end()) it = all.insert(all.end(), TakenOver{});
    *it = {ruling.outcome.candidate_id, proposal.taken_from, ruling.outcome.verdict, ruling.ms};
  }

  // A point on the curve when there is a new best.
  void note_best() {
    const auto& best = contest_.best();
    if (!best || (!result_.curve.empty() && result_.curve.back().program == best->prepared.id))
      return;
    result_.curve.push_back({budget_.elapsed(), best->ms, best->prepared.id, best->proposal.idea});
  }

  void take_from_contest() {
    result_.best_ms = contest_.best() ? contest_.best()->ms : 0;
    result_.tried = contest_.tried();
    result_.verdicts = contest_.verdicts();
  }

  void tell() {
    take_from_contest();
    if (on_verdict_) on_verdict_(result_, budget_);
  }

  RegionSearchResult finish() {
    take_from_contest();
    if (const auto& best = contest_.best()) {
      result_.share_of_libraries = best->proposal.share_of_libraries;
      result_.best = best->prepared;
    }
    for (const auto& other : contest_.others()) result_.runners_up.push_back(other.prepared);
    result_.elapsed_s = budget_.elapsed();
    return std::move(result_);
  }

  program::Proposer& proposer_;
  Contest& contest_;
  const SearchPace& pace_;
  const OnVerdict& on_verdict_;
  Budget budget_;
  std::set<std::string> seen_;
  int judged_ = 0;  // verdicts of this search
  // Candidate id -> where its predictions stand in the result: the machine model's, the learned.
  std::map<std::string, std::pair<size_t, size_t>> places_;
  RegionSearchResult result_;
};

}  // namespace

Result<RegionSearchResult> search_region(program::Proposer& proposer, Contest& contest,
                                         const std::vector<program::Proposal>& first,
                                         const SearchPace& pace, const OnVerdict& on_verdict) {
  return RegionSearch(proposer, contest, pace, on_verdict).run(first);
}

Result<RegionSearchResult> search_region(program::Proposer& proposer, referee::Referee& referee,
                                         archive::Archive& archive,
                                         const std::vector<program::Proposal>& first,
                                         const RegionSearchOptions& options,
                                         const OnVerdict& on_verdict) {
  Contest contest(referee, archive, options);
  return search_region(proposer, contest, first, options, on_verdict);
}

}  // namespace kernelwright::search

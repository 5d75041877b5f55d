// SPDX-License-Identifier: Apache-2.0
#include "expert/experience.h"

#include <algorithm>

namespace kernelwright::expert {
namespace {

constexpr int kFailuresOfAFamily = 2;

bool is_right(const program::Outcome& outcome) {
  return outcome.correct && outcome.seconds > 0;
}

}  // namespace

void Experience::learn(const Choice& choice, const program::Outcome& outcome) {
  judged_[outcome.candidate_id] = {choice, outcome};
  recount();
}

bool Experience::failed(size_t op, int option) const {
  return failed_.contains({op, option});
}

bool Experience::acquitted(size_t op, int option) const {
  const Place place{op, option};
  return judged_options_.contains(place) && !right_.contains(place) && !failed_.contains(place);
}

bool Experience::leave_alone(size_t op, const std::string& family) const {
  const auto count = [&](const auto& counts) {
    const auto it = counts.find({op, family});
    return it == counts.end() ? 0 : it->second;
  };
  const int failures = count(failures_of_family_);
  return failures >= kFailuresOfAFamily && failures > count(right_of_family_);
}

void Experience::recount() {
  right_.clear();
  failed_.clear();
  judged_options_.clear();
  right_of_family_.clear();
  failures_of_family_.clear();
  best_ = {};
  anything_failed_ = false;
  for (const auto& [id, judged] : judged_) {
    for (size_t op = 0; op < judged.choice.size(); ++op)
      judged_options_.insert({op, judged.choice[op]});
    if (!is_right(judged.outcome)) continue;
    for (size_t op = 0; op < judged.choice.size(); ++op) right_.insert({op, judged.choice[op]});
    if (best_.id.empty() || judged.outcome.seconds < best_.seconds)
      best_ = {judged.choice, id, judged.outcome.seconds};
  }
  for (const auto& [op, option] : right_) ++right_of_family_[{op, family_(op, option)}];

  std::map<std::string, std::set<Place>> by_kind;  // verdict -> options
  for (const auto& [id, judged] : judged_) {
    if (judged.outcome.correct) continue;
    anything_failed_ = true;
    std::vector<Place> suspects;
    for (size_t op = 0; op < judged.choice.size(); ++op)
      if (const Place place{op, judged.choice[op]}; !right_.contains(place))
        suspects.push_back(place);
    if (suspects.size() > 1 && best()) continue;
    failed_.insert(suspects.begin(), suspects.end());
    by_kind[judged.outcome.verdict].insert(suspects.begin(), suspects.end());
  }
  for (const auto& [kind, places] : by_kind) {
    std::map<std::pair<size_t, std::string>, int> counts;
    for (const auto& [op, option] : places) ++counts[{op, family_(op, option)}];
    for (const auto& [key, count] : counts)
      failures_of_family_[key] = std::max(failures_of_family_[key], count);
  }
}

}  // namespace kernelwright::expert

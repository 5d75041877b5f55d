// SPDX-License-Identifier: Apache-2.0
#include "agent/population.h"

#include <algorithm>

namespace kernelwright::agent {

Population::Population(const std::vector<const Idea*>& ideas) {
  for (const Idea* idea : ideas) lives_.push_back({idea, 0, 0, false, false, std::nullopt});
}

Population::Life* Population::find(const Idea* idea) {
  const auto it =
      std::find_if(lives_.begin(), lives_.end(), [&](const Life& l) { return l.idea == idea; });
  return it == lives_.end() ? nullptr : &*it;
}

std::vector<Assignment> Population::next_round(int count, const std::optional<Member>& leader) {
  if (round_ > 0) rounds_without_gain_ = round_gained_ ? 0 : rounds_without_gain_ + 1;
  round_gained_ = false;
  std::vector<Life*> gained, tried, untried;
  for (Life& life : lives_) {
    if (life.ended) continue;
    (life.conversations == 0 ? untried : life.gained ? gained : tried).push_back(&life);
  }
  const auto faster = [](const Life* a, const Life* b) {
    if (a->best.has_value() != b->best.has_value()) return a->best.has_value();
    return a->best && a->best->ms < b->best->ms;
  };
  std::stable_sort(gained.begin(), gained.end(), faster);
  std::stable_sort(tried.begin(), tried.end(), faster);
  const size_t places = static_cast<size_t>(std::max(count, 0));
  // What gained goes on, an untried idea has its place beside it, the others follow.
  std::vector<Life*> chosen;
  const auto take = [&](std::vector<Life*>& from, size_t up_to) {
    while (!from.empty() && chosen.size() < up_to) {
      chosen.push_back(from.front());
      from.erase(from.begin());
    }
  };
  take(gained, untried.empty() || places < 2 ? places : places - 1);
  take(untried, std::min(places, chosen.size() + 1));
  take(tried, places);
  take(untried, places);
  if (chosen.empty()) return {};
  ++round_;
  std::vector<Assignment> out;
  for (Life* life : chosen) {
    const bool own = life->best && leader && life->best->ms <= kNearLeader * leader->ms;
    out.push_back({life->idea, round_, own ? life->best : leader});
  }
  return out;
}

void Population::learn(const IdeaOutcome& outcome) {
  Life* life = find(outcome.idea);
  if (!life) return;
  ++life->conversations;
  life->gained = outcome.gained;
  round_gained_ |= outcome.gained;
  if (outcome.best && (!life->best || outcome.best->ms < life->best->ms)) life->best = outcome.best;
  if (outcome.best)
    life->without_right = 0;
  else if (!outcome.cut_short)
    ++life->without_right;
  life->ended = outcome.slower >= kSlowerEndsIdea || life->without_right >= kNoRightEndsIdea;
}

double first_share(const std::vector<Headroom>& regions) {
  const auto weight = [](const Headroom& r) {
    return std::max(r.ms - r.light_ms, 0.05 * r.ms) + 1e-6;
  };
  double total = 0;
  for (const auto& region : regions) total += weight(region);
  return regions.empty() ? 0 : weight(regions.front()) / total;
}

}  // namespace kernelwright::agent

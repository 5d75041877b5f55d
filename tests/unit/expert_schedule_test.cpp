// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>

#include "expert/schedule.h"

namespace kernelwright::expert {
namespace {

TEST(Schedule, AThinnedSpaceKeepsEveryChoice) {
  const ScheduleSpace space = {
      {"a", {1, 2, 3}, 1}, {"b", {1, 2, 3, 4, 5, 6, 7, 8}, 1}, {"c", {0, 1}, 0}};
  EXPECT_EQ(enumerate(space, 48).size(), 48u);
  for (size_t limit : {16, 24, 40}) {
    const auto thinned = enumerate(space, limit);
    EXPECT_EQ(std::set<Schedule>(thinned.begin(), thinned.end()).size(), limit);
    for (const Knob& knob : space) {
      std::set<int64_t> seen;
      for (const Schedule& schedule : thinned) seen.insert(schedule.at(knob.name));
      EXPECT_EQ(seen.size(), knob.choices.size()) << knob.name << " of " << limit;
    }
  }
}

// A thinned space would else leave out where its author would begin.
TEST(Schedule, TheInitialOneComesFirst) {
  const ScheduleSpace space = {
      {"a", {1, 2, 3}, 2}, {"b", {1, 2, 3, 4, 5, 6, 7, 8}, 7}, {"c", {0, 1}, 1}};
  const Schedule initial = {{"a", 2}, {"b", 7}, {"c", 1}};
  for (size_t limit : {1, 16, 48}) {
    const auto all = enumerate(space, limit);
    EXPECT_EQ(all.front(), initial) << limit;
    EXPECT_EQ(std::set<Schedule>(all.begin(), all.end()).size(), limit);
  }
}

}  // namespace
}  // namespace kernelwright::expert

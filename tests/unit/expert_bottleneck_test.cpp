// SPDX-License-Identifier: Apache-2.0
// What holds an op back by its profile, and how a search goes by it.
#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "expert/bottleneck.h"
#include "expert/expert.h"
#include "support/chain.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using program::StepProfile;

// 10 GB/s and 100 GFLOP/s.
constexpr graph::Ceilings kCeilings = {1e10, 1e11};

graph::Work work(double bytes, double flops) {
  graph::Work work;
  work.bytes = bytes;
  work.contraction_flops = flops;
  return work;
}

TEST(Bottleneck, TheRooflineSpeaksFirst) {
  EXPECT_EQ(limit_of({1e-3}, work(6e6, 1e6), kCeilings), Limit::kMemory);
  EXPECT_EQ(limit_of({1e-3}, work(1e6, 6e7), kCeilings), Limit::kArithmetic);
  EXPECT_EQ(limit_of({1e-3}, work(4e6, 4e7), kCeilings), Limit::kUnknown);
  EXPECT_EQ(limit_of({0}, work(4e6, 4e7), kCeilings), Limit::kUnknown);
  // Little has to move, but much did.
  OpProfile busy{1e-3};
  busy.cache_misses = 1e5;
  EXPECT_EQ(limit_of(busy, work(1e5, 1e6), kCeilings), Limit::kMemory);
  busy.cache_misses = 1e3;
  EXPECT_EQ(limit_of(busy, work(6e6, 1e6), kCeilings), Limit::kUnknown);
}

TEST(Bottleneck, ThenTheInstructionsPerCycle) {
  OpProfile profile{1e-3};
  profile.cycles = 1e6;
  EXPECT_EQ(limit_of(profile, work(1e6, 1e6), kCeilings), Limit::kUnknown);
  profile.instructions = 3e6;
  EXPECT_EQ(limit_of(profile, work(1e6, 1e6), kCeilings), Limit::kArithmetic);
  profile.instructions = 5e5;
  EXPECT_EQ(limit_of(profile, work(1e6, 1e6), kCeilings), Limit::kMemory);
  profile.instructions = 1.2e6;
  EXPECT_EQ(limit_of(profile, work(1e6, 1e6), kCeilings), Limit::kUnknown);
}

TEST(Bottleneck, WhatIsToWinIsAboveTheLeast) {
  EXPECT_NEAR(headroom({1e-3}, work(4e6, 0), kCeilings), 6e-4, 1e-9);
  EXPECT_NEAR(headroom({1e-3}, work(4e7, 0), kCeilings), 1e-4, 1e-9);
}

TEST(Bottleneck, AnOpsStepsCountTogether) {
  StepProfile counted{"run[1] b", 2};
  counted.cycles = 10;
  const auto ops = profile_ops({{"run[0] a", 1}, counted, {"run[2] c", 4}, {"run[3] copy", 8}},
                               {2, 0, 2, -1}, 3);
  ASSERT_EQ(ops.size(), 3u);
  EXPECT_DOUBLE_EQ(ops[0].seconds, 2e-3);
  EXPECT_EQ(ops[0].cycles, 10);
  EXPECT_EQ(ops[1].seconds, 0);
  EXPECT_DOUBLE_EQ(ops[2].seconds, 5e-3);
  EXPECT_FALSE(ops[2].cycles);
  EXPECT_TRUE(profile_ops({{"run[0] a", 1}}, {0, 0}, 1).empty());
}

class LedSearch : public ::testing::Test {
 protected:
  // Tells the first proposal's outcome, with the profile of its last step if there is one, and
  // returns it.
  program::Proposal begin(const std::string& chain, const std::optional<StepProfile>& last,
                          double seconds = 1e-2) {
    graph_ = kernelwright::testing::chain(chain, graph::DType::kF32);
    auto expert = make_expert(graph_, kernelwright::testing::plain_machine(), {});
    EXPECT_TRUE(expert.has_value());
    expert_ = std::move(*expert);
    program::Proposal first = propose();
    program::Outcome outcome{program::candidate_id(first.candidate), "accepted", "", true, seconds};
    if (last) {
      for (const auto& name : program::step_names(first.candidate.program.run, "run"))
        outcome.steps.push_back({name, 0.01});
      outcome.steps.back() = *last;
    }
    expert_->learn(outcome);
    return first;
  }
  program::Proposal propose() {
    auto proposals = expert_->propose(1);
    EXPECT_TRUE(proposals.has_value() && proposals->size() == 1);
    return proposals->at(0);
  }
  // Keys of one schedule that are otherwise in the other, or not there.
  static std::set<std::string> differing(const program::Proposal& a, const program::Proposal& b) {
    std::set<std::string> keys;
    for (const auto& [key, value] : a.schedule)
      if (const auto it = b.schedule.find(key); it == b.schedule.end() || it->second != value)
        keys.insert(key);
    for (const auto& [key, value] : b.schedule)
      if (!a.schedule.count(key)) keys.insert(key);
    return keys;
  }
  // The first knob in which alone a proposal differs from `base`; empty: none of twenty.
  std::string first_single_knob(const program::Proposal& base) {
    for (int i = 0; i < 20; ++i) {
      const auto keys = differing(propose(), base);
      if (keys.size() == 1) return keys.begin()->substr(keys.begin()->find('.') + 1);
    }
    return "";
  }

  graph::StageGraph graph_;
  std::unique_ptr<program::Proposer> expert_;
};

TEST_F(LedSearch, TheOpThatTakesTheTimeIsChanged) {
  const auto first = begin("input 64x256\nlinear 256\nrelu\nlinear 256\n", StepProfile{"last", 10});
  std::string last_op;
  for (const auto& [key, value] : first.schedule)
    if (key.rfind("op", 0) == 0) last_op = key.substr(0, key.find('.') + 1);
  for (int i = 0; i < 12; ++i) {
    for (const std::string& key : differing(propose(), first))
      EXPECT_TRUE(key.rfind(last_op, 0) == 0 ||
                  key.rfind("family/" + last_op.substr(0, last_op.size() - 1), 0) == 0)
          << key << " beside " << last_op;
  }
}

TEST_F(LedSearch, AKnobThatBearsOnTheLimitIsTurnedFirst) {
  const std::string linear = "input 256x512\nlinear 512\n";
  StepProfile profile{"last", 10};
  profile.cache_misses = 2e6;  // 128 MB, where memory gives 150 in that time
  const auto memory_bound = begin(linear, profile);
  const std::set<std::string> traffic = {"kc",   "mblocks",  "nblocks", "order",
                                         "flat", "direct_a", "direct_b"};
  EXPECT_TRUE(traffic.count(first_single_knob(memory_bound)));

  profile.cache_misses = 0;
  profile.cycles = 1e6;
  profile.instructions = 3e6;
  const auto busy = begin(linear, profile);
  const std::set<std::string> arithmetic = {"mr", "nv", "flat"};
  EXPECT_TRUE(arithmetic.count(first_single_knob(busy)));
}

// Without a profile of its own: 2.1 MB and 134 MFLOP, for which the machine takes 0.14 and 0.67 ms.
TEST_F(LedSearch, TheTimeOfASingleStepIsProfileEnough) {
  begin("input 256x512\nlinear 512\n", std::nullopt, 1e-3);
  const std::string idea = propose().idea;
  EXPECT_NE(idea.find("(held back by arithmetic)"), std::string::npos) << idea;
  begin("input 256x512\nlinear 512\n", std::nullopt, 1e-1);
  EXPECT_EQ(propose().idea.find("(held back"), std::string::npos);
}

TEST_F(LedSearch, TheIdeaNamesTheLimit) {
  StepProfile profile{"last", 10};
  profile.cache_misses = 2e6;
  begin("input 256x512\nlinear 512\n", profile);
  const auto next = propose();
  EXPECT_NE(next.idea.find("(held back by memory)"), std::string::npos) << next.idea;
}

}  // namespace
}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
// What the expert learns from failures, by itself and in what it proposes next.
#include <gtest/gtest.h>

#include "expert/experience.h"
#include "expert/expert.h"
#include "support/chain.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using Choice = Experience::Choice;

program::Outcome outcome(const std::string& id, const std::string& verdict, double seconds) {
  return {id, verdict, "", seconds > 0, seconds};
}

// Options 0 to 9 are of the family "a", 10 to 19 of "b", ...
Experience experience() {
  return Experience(
      [](size_t, int option) { return std::string(1, static_cast<char>('a' + option / 10)); });
}

TEST(Experience, OnlyWhatIsRightLeads) {
  Experience e = experience();
  e.learn({0}, outcome("x", "wrong", 0));
  EXPECT_EQ(e.best(), nullptr);
  e.learn({1}, outcome("y", "accepted", 2));
  e.learn({2}, outcome("z", "accepted", 1));
  ASSERT_NE(e.best(), nullptr);
  EXPECT_EQ(e.best()->choice, Choice{2});
  // A longer look found an error.
  e.learn({2}, outcome("z", "wrong", 0));
  EXPECT_EQ(e.best()->id, "y");
  EXPECT_TRUE(e.failed(0, 2));
}

TEST(Experience, TwoFailuresOfAKindSpeakAgainstAFamily) {
  Experience e = experience();
  e.learn({0}, outcome("0", "wrong", 0));
  e.learn({1}, outcome("1", "crashed", 0));
  EXPECT_FALSE(e.leave_alone(0, "a"));
  e.learn({2}, outcome("2", "wrong", 0));
  EXPECT_TRUE(e.leave_alone(0, "a"));
  EXPECT_FALSE(e.leave_alone(0, "b"));
  // Where as many are right, it was the schedules.
  e.learn({3}, outcome("3", "slower", 1));
  EXPECT_TRUE(e.leave_alone(0, "a"));
  e.learn({4}, outcome("4", "accepted", 1));
  EXPECT_FALSE(e.leave_alone(0, "a"));
}

TEST(Experience, WhoWasInBadCompanyIsNoCulprit) {
  Experience e = experience();
  e.learn({0, 0}, outcome("0", "wrong", 0));
  EXPECT_TRUE(e.failed(0, 0));
  EXPECT_TRUE(e.failed(1, 0));
  e.learn({1, 1}, outcome("1", "accepted", 1));
  // One of the two, nobody knows which.
  EXPECT_FALSE(e.failed(0, 0));
  EXPECT_TRUE(e.acquitted(1, 0));
  e.learn({1, 0}, outcome("2", "accepted", 1));
  EXPECT_TRUE(e.failed(0, 0));
  EXPECT_FALSE(e.acquitted(1, 0));
  EXPECT_FALSE(e.failed(1, 0));
}

std::string family_of(const program::Proposal& proposal) {
  const size_t end = proposal.idea.find(' ');
  return proposal.idea.substr(0, end);
}

int differing(const std::map<std::string, int64_t>& a, const std::map<std::string, int64_t>& b) {
  int count = 0;
  for (const auto& [key, value] : a) {
    const auto it = b.find(key);
    count += it == b.end() || it->second != value ? 1 : 0;
  }
  return count;
}

class Convolution : public ::testing::Test {
 protected:
  void SetUp() override {
    graph_ = kernelwright::testing::chain("input 1x32x34x34\nconv 64 3\n", graph::DType::kF32);
    auto expert = make_expert(graph_, kernelwright::testing::plain_machine(), {});
    ASSERT_TRUE(expert.has_value()) << expert.error().text();
    expert_ = std::move(*expert);
  }
  std::vector<program::Proposal> propose(int count) {
    auto proposals = expert_->propose(count);
    EXPECT_TRUE(proposals.has_value());
    return proposals ? std::move(*proposals) : std::vector<program::Proposal>{};
  }
  void tell(const program::Proposal& p, const std::string& verdict, double seconds) {
    expert_->learn(outcome(program::candidate_id(p.candidate), verdict, seconds));
  }
  graph::StageGraph graph_;
  std::unique_ptr<program::Proposer> expert_;
};

// The first program is wrong: what comes next does not look like it.
TEST_F(Convolution, NothingIsMadeFromWhatFailed) {
  const auto first = propose(1);
  ASSERT_EQ(first.size(), 1u);
  tell(first[0], "wrong", 0);
  for (const auto& next : propose(12)) {
    EXPECT_EQ(next.parent, "");
    if (family_of(next) == family_of(first[0])) {
      EXPECT_GT(differing(next.schedule, first[0].schedule), 1) << next.idea;
    }
  }
}

TEST_F(Convolution, AFamilyThatFailsTwiceIsLeftForOthers) {
  std::string family;
  int failures = 0;
  for (int round = 0; round < 40; ++round) {
    const auto next = propose(1);
    ASSERT_EQ(next.size(), 1u);
    if (family.empty()) family = family_of(next[0]);
    const bool fails = family_of(next[0]) == family;
    failures += fails ? 1 : 0;
    tell(next[0], fails ? "wrong" : "accepted", fails ? 0 : 1);
  }
  EXPECT_LE(failures, 2) << family;
}

// Right at the first look, wrong at a later one.
TEST_F(Convolution, WhatProvesWrongLaterLeadsNoMore) {
  const auto first = propose(2);
  ASSERT_EQ(first.size(), 2u);
  tell(first[0], "accepted", 1e-3);
  tell(first[1], "accepted", 2e-3);
  tell(first[0], "wrong", 0);
  for (const auto& next : propose(6))
    EXPECT_EQ(next.parent, program::candidate_id(first[1].candidate));
}

}  // namespace
}  // namespace kernelwright::expert

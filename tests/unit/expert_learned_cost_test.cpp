// SPDX-License-Identifier: Apache-2.0
// Predictions corrected by measurements, on costs made up for it.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "expert/expert.h"
#include "expert/learned_cost.h"
#include "search/search_figures.h"
#include "support/chain.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using Pairs = std::vector<std::pair<double, double>>;

Made one_op(const Schedule& schedule, const std::string& family = "f") {
  return {{{family, schedule}}};
}

// All schedules of three knobs in an order that has nothing to do with their costs.
std::vector<Schedule> shuffled_schedules() {
  auto all = enumerate(
      {{"tile", {4, 8, 16, 32, 64}, 4}, {"depth", {0, 64, 128, 256}, 0}, {"copy", {0, 1}, 0}},
      1000);
  std::mt19937_64 random(7);
  for (size_t i = all.size(); i-- > 1;) std::swap(all[i], all[random() % (i + 1)]);
  return all;
}

// Best at tile 16, and copies pay only for the deepest.
double synthetic_cost(const Schedule& s) {
  const double tile = std::log2(static_cast<double>(s.at("tile"))) - 4;
  const double copy = s.at("copy") != 0 ? (s.at("depth") == 256 ? 0.8 : 1.3) : 1;
  return 1e-3 * (1 + 0.4 * tile * tile) * copy;
}

TEST(LearnedCost, KeepsTheModelsWordUntilThereIsEnough) {
  LearnedCost cost({1});
  EXPECT_EQ(cost.corrected(one_op({{"a", 1}}), 2.0), 2.0);
  for (int i = 1; i <= 3; ++i) cost.learn(one_op({{"a", i}}), 1, 2);
  EXPECT_FALSE(cost.ready());
  cost.learn(one_op({{"a", 4}}), 1, 2);
  ASSERT_TRUE(cost.ready());
  // Twice as slow as predicted throughout: so will the rest be.
  EXPECT_NEAR(cost.corrected(one_op({{"a", 100}}), 1), 2, 1e-9);
}

// Each prediction is made before its measurement is known.
TEST(LearnedCost, OrdersWhatTheModelCannotTellApart) {
  LearnedCost cost({1});
  Pairs learned;
  int number = 0;
  for (const Schedule& schedule : shuffled_schedules()) {
    if (++number > 12)
      learned.emplace_back(cost.corrected(one_op(schedule), 1e-3), synthetic_cost(schedule));
    cost.learn(one_op(schedule), 1e-3, synthetic_cost(schedule));
  }
  EXPECT_GT(search::rank_correlation(learned).value_or(0), 0.85);
}

// A model that puts the schedules in the opposite order.
TEST(LearnedCost, TurnsAWrongModelRound) {
  LearnedCost cost({1});
  Pairs model, learned;
  int number = 0;
  for (const Schedule& schedule : shuffled_schedules()) {
    const double measured = synthetic_cost(schedule), predicted = 1e-6 / measured;
    if (++number > 12) {
      model.emplace_back(predicted, measured);
      learned.emplace_back(cost.corrected(one_op(schedule), predicted), measured);
    }
    cost.learn(one_op(schedule), predicted, measured);
  }
  EXPECT_LT(search::rank_correlation(model).value_or(0), -0.9);
  EXPECT_GT(search::rank_correlation(learned).value_or(0), 0.5);
}

// What is known of one family is said of no other.
TEST(LearnedCost, FamiliesAreTheirOwn) {
  LearnedCost cost({1});
  for (int i = 0; i < 4; ++i) cost.learn(one_op({{"a", 1 << i}}, "fast"), 1, 1);
  for (int i = 0; i < 4; ++i) cost.learn(one_op({{"a", 1 << i}}, "slow"), 1, 3);
  EXPECT_LT(cost.corrected(one_op({{"a", 2}}, "fast"), 1), 1.2);
  EXPECT_GT(cost.corrected(one_op({{"a", 2}}, "slow"), 1), 2.4);
  const double other = cost.corrected(one_op({{"a", 2}}, "other"), 1);
  EXPECT_GT(other, 1.2);
  EXPECT_LT(other, 2.4);
}

// An op that takes a hundredth of the time explains little of what changes.
TEST(LearnedCost, OpsCountByTheirShare) {
  LearnedCost cost({0.99, 0.01});
  const auto two = [](int64_t a, int64_t b) {
    return Made{{{"f", {{"k", a}}}, {"f", {{"k", b}}}}};
  };
  for (int i = 0; i < 6; ++i) cost.learn(two(1 << i, 1), 1, 1 + i);
  EXPECT_NEAR(cost.corrected(two(8, 1), 1) / cost.corrected(two(8, 64), 1), 1, 0.05);
  EXPECT_GT(cost.corrected(two(32, 1), 1), 2 * cost.corrected(two(1, 1), 1));
}

// A machine on which the opposite of what the model says is true: what the expert proposes, it
// expects better and better, and its best so far gets there sooner than the model's order would.
TEST(LearnedCost, TheExpertFollowsWhatWasMeasured) {
  const auto graph =
      kernelwright::testing::chain("input 512x512\nlinear 512\n", graph::DType::kF32);
  auto expert = make_expert(graph, kernelwright::testing::plain_machine(), {});
  ASSERT_TRUE(expert.has_value()) << expert.error().text();
  Pairs learned, model;
  for (int round = 0; round < 12; ++round) {
    const auto batch = (*expert)->propose(5);
    ASSERT_TRUE(batch.has_value());
    for (const auto& proposal : *batch) {
      EXPECT_EQ(proposal.learned_s > 0, round > 0) << round;
      // Small register tiles and deep blocks pay here.
      double measured = 1e-3;
      for (const auto& [knob, value] : proposal.schedule) {
        if (knob == "op0.mr") measured *= 1 + 0.1 * static_cast<double>(value);
        if (knob == "op0.kc") measured *= value == 0 ? 0.5 : 1;
      }
      if (proposal.learned_s > 0) {
        learned.emplace_back(proposal.learned_s, measured);
        model.emplace_back(proposal.predicted_s, measured);
      }
      (*expert)->learn({program::candidate_id(proposal.candidate), "accepted", "", true, measured});
    }
  }
  ASSERT_GT(learned.size(), 20u);
  EXPECT_GT(search::rank_correlation(learned).value_or(0), 0.6);
  EXPECT_GT(search::rank_correlation(learned).value_or(0),
            search::rank_correlation(model).value_or(0) + 0.2);
}

}  // namespace
}  // namespace kernelwright::expert

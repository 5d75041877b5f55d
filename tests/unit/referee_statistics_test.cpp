// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "referee/statistics.h"
#include "referee/tolerance.h"

namespace kernelwright::referee {
namespace {

TEST(RefereeStatistics, MedianAndQuantiles) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(quantile({0, 10}, 0.25), 2.5);
  EXPECT_EQ(median({}), 0);
  EXPECT_NEAR(relative_spread({1, 1, 1, 1}), 0, 0);
}

// P(Binomial(10, 1/2) < 2) = 0.0107, and < 3 it is 0.0547: at 5 % both sides the second order
// statistic.
TEST(RefereeStatistics, IntervalIsTheTextbookOne) {
  const Interval interval = median_interval({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.05);
  EXPECT_EQ(interval.low, 2);
  EXPECT_EQ(interval.high, 9);
  EXPECT_EQ(interval.median, 5.5);
}

TEST(RefereeStatistics, TooFewValuesSayNothing) {
  const Interval interval = median_interval({2, 2, 2}, 0.05);
  EXPECT_EQ(interval.low, 0);
  EXPECT_TRUE(std::isinf(interval.high));
}

TEST(RefereeStatistics, OneOutlierMovesNothing) {
  std::vector<double> values(20, 2.0);
  values[3] = 1e6;
  const Interval interval = median_interval(values, 0.05);
  EXPECT_EQ(interval.low, 2);
  EXPECT_EQ(interval.high, 2);
}

TEST(RefereeStatistics, StopRules) {
  EXPECT_TRUE(stop_when_decided(1.01)({1.2, 1.1, 1.3}, 0));
  EXPECT_TRUE(stop_when_decided(1.01)({0.9, 0.8, 1.0}, 0));
  EXPECT_FALSE(stop_when_decided(1.01)({1.0, 0.9, 1.1}, 0));
  EXPECT_TRUE(stop_when_precise(0.01)({1.0, 0.995, 1.005}, 0));
  EXPECT_FALSE(stop_when_precise(0.01)({1.0, 0.9, 1.1}, 0));
  EXPECT_TRUE(any_of({stop_after(1), stop_when_decided(1)})({1.0, 0.9, 1.1}, 2));
}

TEST(RefereeStatistics, DearRoundsGetOneLook) {
  EXPECT_EQ(plan_looks(1.0, 0.4).rounds, std::vector<int>{6});
  EXPECT_GT(plan_looks(0.001, 0.4).rounds.size(), 3u);
}

// One whole comparison as timing.cpp runs it, over simulated times.
struct Noise {
  double jitter = 0.05;  // lognormal, per sample
  double outliers = 0;   // share of samples that take 1.5 to 5 times as long
  double drift = 0;      // relative, over 96 rounds
  double steps = 0;      // chance per round that the machine changes its speed by up to 20 %
};
bool claims_faster(double true_speedup, const Noise& noise, double round_s,
                   std::mt19937_64& generator) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> unit;
  PairedComparison comparison(plan_looks(round_s, 0.4));
  const StopRule stop = any_of(
      {stop_when_decided(kTolerances.noticeable), stop_when_precise(0.005), stop_after(0.4)});
  double speed = 1;
  for (int round = 0;; ++round) {
    if (unit(generator) < noise.steps) speed *= 0.8 + 0.4 * unit(generator);
    auto sample = [&](double base, double when) {
      double ms = base * speed * std::exp(noise.jitter * normal(generator)) *
                  (1 + noise.drift * (round + when) / 96);
      if (unit(generator) < noise.outliers) ms *= 1.5 + 3.5 * unit(generator);
      return ms;
    };
    // The order alternates, as in the worker.
    const bool first = round % 2 == 0;
    const double candidate = sample(1, first ? 0 : 0.5),
                 reference = sample(true_speedup, first ? 0.5 : 0);
    comparison.add(reference, candidate);
    if (comparison.look_due() &&
        (stop(comparison.look(), round * round_s) || comparison.exhausted()))
      break;
    if (round * round_s > 0.4 && comparison.interval().low > 0) {
      comparison.last_look();
      break;
    }
  }
  return comparison.interval().low > kTolerances.noticeable;
}

class AgainstItself : public ::testing::TestWithParam<std::tuple<Noise, double>> {};

// A/A: a program against itself is called faster in at most 5 % of runs, plus three standard
// errors.
TEST_P(AgainstItself, IsSeldomFaster) {
  const auto [noise, round_s] = GetParam();
  std::mt19937_64 generator(42);
  constexpr int kRuns = 2000;
  int claims = 0;
  for (int run = 0; run < kRuns; ++run) claims += claims_faster(1.0, noise, round_s, generator);
  EXPECT_LE(claims, kRuns * 0.05 + 3 * std::sqrt(kRuns * 0.05 * 0.95));
}

INSTANTIATE_TEST_SUITE_P(Noises, AgainstItself,
                         ::testing::Combine(::testing::Values(Noise{0.02}, Noise{0.3},
                                                              Noise{0.05, 0.2}, Noise{0.02, 0, 0.5},
                                                              Noise{0.05, 0.1, 0.3, 0.05}),
                                            ::testing::Values(0.002, 0.03, 0.2)));

TEST(RefereeStatistics, RealGainsAreFound) {
  std::mt19937_64 generator(42);
  int claims = 0;
  for (int run = 0; run < 200; ++run)
    claims += claims_faster(1.2, Noise{0.05, 0.1, 0.2}, 0.002, generator);
  EXPECT_GE(claims, 190);
  claims = 0;
  for (int run = 0; run < 200; ++run) claims += claims_faster(1.5, Noise{0.05}, 0.2, generator);
  EXPECT_GE(claims, 190);
}

TEST(RefereeStatistics, SlowerIsNeverFaster) {
  std::mt19937_64 generator(42);
  int claims = 0;
  for (int run = 0; run < 500; ++run)
    claims += claims_faster(0.9, Noise{0.05, 0.1}, 0.002, generator);
  EXPECT_EQ(claims, 0);
}

}  // namespace
}  // namespace kernelwright::referee

// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "referee/compare.h"

namespace kernelwright::referee {
namespace {

constexpr double kUnit = 0x1p-24;

// A problem of n elements with eager one rounding away from the oracle.
struct Problem {
  std::vector<double> oracle, scale;
  std::vector<float> eager, candidate;
  std::vector<uint8_t> mask;
  Answer answer;

  explicit Problem(int64_t n, uint64_t seed = 1) {
    std::mt19937_64 generator(seed);
    std::normal_distribution<double> normal;
    for (int64_t i = 0; i < n; ++i) {
      oracle.push_back(normal(generator) + 3);
      scale.push_back(kUnit * std::fabs(oracle.back()));
      eager.push_back(static_cast<float>(oracle.back()));
    }
    candidate = eager;
    mask.assign(static_cast<size_t>(n), 0);
    answer.type = graph::TensorType{graph::DType::kF32, {n / 10, 10}, {}};
    answer.eager = reinterpret_cast<const std::byte*>(eager.data());
    answer.oracle = oracle.data();
    answer.scale = scale.data();
    answer.mask = mask.data();
  }
  Comparison judge() const {
    return compare(reinterpret_cast<const std::byte*>(candidate.data()), answer,
                   measure(answer.eager, answer));
  }
};

TEST(RefereeCompare, AcceptsRoundingOfTheSameSize) {
  Problem p(5000);
  for (float& v : p.candidate) v = std::nextafter(v, 10.0f);
  const Comparison c = p.judge();
  EXPECT_TRUE(c.accepted) << c.reason;
  EXPECT_GT(c.candidate.rho_rms, c.eager.rho_rms);
  EXPECT_TRUE(c.candidate.allclose);
}

TEST(RefereeCompare, NamesTheFirstWrongElement) {
  Problem p(5000);
  p.candidate[1234] = 77;
  p.candidate[4000] = 77;
  const Comparison c = p.judge();
  EXPECT_FALSE(c.accepted);
  EXPECT_NE(c.reason.find("[123,4]"), std::string::npos) << c.reason;
  EXPECT_NE(c.reason.find("got 77"), std::string::npos) << c.reason;
  EXPECT_NE(c.reason.find("2 of 5000"), std::string::npos) << c.reason;
  EXPECT_FALSE(c.candidate.allclose);
}

// An element that is off by rounding comes first; the one that was never written is what to mend.
TEST(RefereeCompare, PointsAtTheWorstElement) {
  Problem p(5000);
  p.candidate[10] += static_cast<float>(100 * p.scale[10]);
  p.candidate[4321] = 77;
  const Comparison c = p.judge();
  EXPECT_EQ(c.reason.rfind("at [432,1] expected ", 0), 0u) << c.reason;
  EXPECT_NE(c.reason.find("got 77 (2 of 5000 elements wrong, the first at [1,0]; error "),
            std::string::npos)
      << c.reason;
}

TEST(RefereeCompare, CallsRoundingAMatterOfPrecision) {
  Problem p(5000);
  for (size_t i = 0; i < p.candidate.size(); i += 7)
    p.candidate[i] += static_cast<float>(100 * p.scale[i]);
  const Comparison c = p.judge();
  EXPECT_FALSE(c.accepted);
  EXPECT_EQ(c.reason.rfind("precision: at [", 0), 0u) << c.reason;
  p.candidate[3] = 77;
  EXPECT_EQ(p.judge().reason.rfind("at [0,3]", 0), 0u) << p.judge().reason;
}

// Too small for allclose, but no rounding of fp32: what a fixed tolerance lets through.
TEST(RefereeCompare, RefusesLowPrecisionThatAllclosePasses) {
  Problem p(5000);
  for (size_t i = 0; i < p.candidate.size(); ++i)
    p.candidate[i] = static_cast<float>(p.oracle[i] * (1 + (i % 2 ? 1 : -1) * 0x1p-20));
  const Comparison c = p.judge();
  EXPECT_TRUE(c.candidate.allclose);
  EXPECT_FALSE(c.accepted);
  EXPECT_NE(c.reason.find("rounding noise"), std::string::npos) << c.reason;
}

// 2^53 and 2^53 + 1 are one double.
TEST(RefereeCompare, LargeIntegersAreComparedAsIntegers) {
  const int64_t large = int64_t{1} << 53;
  const std::vector<int64_t> eager = {3, large, -large, large};
  const std::vector<double> oracle(eager.begin(), eager.end()), scale(4, 1.0);
  std::vector<int64_t> candidate = eager;
  Answer answer;
  answer.type = graph::TensorType{graph::DType::kI64, {4}, {}};
  answer.eager = reinterpret_cast<const std::byte*>(eager.data());
  answer.oracle = oracle.data();
  answer.scale = scale.data();
  const auto judge = [&] {
    return compare(reinterpret_cast<const std::byte*>(candidate.data()), answer,
                   measure(answer.eager, answer));
  };
  EXPECT_TRUE(judge().accepted);
  candidate[1] = large + 1;
  candidate[2] = -large - 1;
  const Comparison c = judge();
  EXPECT_FALSE(c.accepted);
  EXPECT_NE(c.reason.find("[1] expected 9007199254740992, got 9007199254740993 (2 of 4"),
            std::string::npos)
      << c.reason;
}

TEST(RefereeCompare, MaskedElementsAreNotJudged) {
  Problem p(5000);
  p.candidate[7] = NAN;
  p.candidate[1500] = 1e30f;
  EXPECT_FALSE(p.judge().accepted);
  p.mask[7] = p.mask[1500] = 1;
  EXPECT_TRUE(p.judge().accepted) << p.judge().reason;
}

TEST(RefereeCompare, NanAndInfinityMatchEagerOrOracle) {
  Problem p(5000);
  p.candidate[3] = INFINITY;
  EXPECT_FALSE(p.judge().accepted);
  p.oracle[3] = 1e300;  // overflows in fp32 only
  p.eager[3] = INFINITY;
  EXPECT_TRUE(p.judge().accepted) << p.judge().reason;
  p.candidate[3] = -INFINITY;
  EXPECT_FALSE(p.judge().accepted);
  p.oracle[3] = p.eager[3] = p.candidate[3] = NAN;
  EXPECT_TRUE(p.judge().accepted) << p.judge().reason;
  p.candidate[3] = 1;
  EXPECT_FALSE(p.judge().accepted);
}

TEST(RefereeCompare, ExactDrawsTellAWrongIndexFromRounding) {
  Problem p(5000);
  p.answer.exact_draw = true;
  for (size_t i = 0; i < p.oracle.size(); ++i) {
    p.oracle[i] = static_cast<double>(i % 7);
    p.scale[i] = 1e6;  // so noisy that the noise rule would accept anything
    p.eager[i] = p.candidate[i] = static_cast<float>(p.oracle[i]);
  }
  p.candidate[10] += 0.2f;
  EXPECT_TRUE(p.judge().accepted) << p.judge().reason;
  p.candidate[11] += 1;
  EXPECT_FALSE(p.judge().accepted);
  EXPECT_NE(p.judge().reason.find("[1,1]"), std::string::npos) << p.judge().reason;
}

TEST(RefereeCompare, ExactBits) {
  Problem p(5000);
  p.answer.exact_bits = true;
  EXPECT_TRUE(p.judge().accepted);
  p.candidate[20] = std::nextafter(p.candidate[20], 10.0f);
  EXPECT_FALSE(p.judge().accepted);
}

TEST(RefereeCompare, SignOfZeroIsLeftOpen) {
  Problem p(20);
  p.answer.exact_bits = true;
  p.oracle[0] = p.eager[0] = 0;
  p.candidate[0] = -0.0f;
  EXPECT_TRUE(p.judge().accepted) << p.judge().reason;
}

TEST(RefereeCompare, IndicesMayBeTheOraclesOrEagers) {
  std::vector<int64_t> eager = {1, 2, 3}, candidate = {1, 5, 3};
  std::vector<double> oracle = {1, 5, 3}, scale(3, 1);
  Answer answer;
  answer.type = graph::TensorType{graph::DType::kI64, {3}, {}};
  answer.eager = reinterpret_cast<const std::byte*>(eager.data());
  answer.oracle = oracle.data();
  answer.scale = scale.data();
  answer.index_output = true;
  const auto judge = [&] {
    return compare(reinterpret_cast<const std::byte*>(candidate.data()), answer,
                   measure(answer.eager, answer));
  };
  EXPECT_TRUE(judge().accepted) << judge().reason;
  candidate[2] = 4;
  EXPECT_FALSE(judge().accepted);
}

TEST(RefereeCompare, HalfTypesAreReadRight) {
  const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x7c00, 0x7bff, 0x8000};
  const std::byte* bytes = reinterpret_cast<const std::byte*>(half);
  EXPECT_EQ(element(bytes, graph::DType::kF16, 0), 1.0);
  EXPECT_EQ(element(bytes, graph::DType::kF16, 1), -2.0);
  EXPECT_EQ(element(bytes, graph::DType::kF16, 2), 0x1p-24);
  EXPECT_EQ(element(bytes, graph::DType::kF16, 3), INFINITY);
  EXPECT_EQ(element(bytes, graph::DType::kF16, 4), 65504.0);
  EXPECT_EQ(element(bytes, graph::DType::kF16, 5), 0.0);
  const uint16_t brain[] = {0x3f80, 0xff80};
  EXPECT_EQ(element(reinterpret_cast<const std::byte*>(brain), graph::DType::kBF16, 0), 1.0);
  EXPECT_EQ(element(reinterpret_cast<const std::byte*>(brain), graph::DType::kBF16, 1), -INFINITY);
}

TEST(RefereeCompare, EmptyTensorsAreRight) {
  Problem p(0);
  EXPECT_TRUE(p.judge().accepted) << p.judge().reason;
}

// The blocked sums agree with the plain ones, wherever blocks begin and end.
TEST(RefereeCompare, FiguresAgreeWithThePlainFormula) {
  for (int64_t n : {10, 1020, 1030, 5000}) {
    Problem p(n, static_cast<uint64_t>(n));
    std::mt19937_64 generator(5);
    std::uniform_real_distribution<double> unit(-3, 3);
    double sum = 0, top = 0;
    int64_t judged = 0;
    for (size_t i = 0; i < p.candidate.size(); ++i) {
      p.candidate[i] = static_cast<float>(p.oracle[i] + unit(generator) * p.scale[i]);
      p.mask[i] = i % 13 == 0;
      if (p.mask[i]) continue;
      const double rho = std::fabs(static_cast<double>(p.candidate[i]) - p.oracle[i]) / p.scale[i];
      sum += rho * rho;
      top = std::max(top, rho);
      ++judged;
    }
    const Distance d = measure(reinterpret_cast<const std::byte*>(p.candidate.data()), p.answer);
    EXPECT_EQ(d.judged, judged);
    EXPECT_NEAR(d.figures.rho_rms, std::sqrt(sum / static_cast<double>(judged)), 1e-9);
    EXPECT_DOUBLE_EQ(d.figures.rho_max, top);
  }
}

}  // namespace
}  // namespace kernelwright::referee

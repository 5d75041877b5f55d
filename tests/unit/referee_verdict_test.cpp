// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "referee/verdict.h"

namespace kernelwright::referee {
namespace {

TEST(RefereeVerdict, SurvivesJson) {
  Verdict verdict;
  verdict.kind = VerdictKind::kSlower;
  verdict.tier = Tier::kPromotion;
  verdict.reason = "1.2 ms against 1.1 ms";
  verdict.detail = "a\nb";
  verdict.candidate_error = ErrorFigures{1.5, INFINITY, 1e-7, true};
  verdict.eager_error = ErrorFigures{1, 4, 1e-7, false};
  verdict.timing = Timing{1.2, 0.1, 1.1, "eager", 0.92, 0.9, 0.95, 1.2, 16};
  verdict.baselines = {*verdict.timing, *verdict.timing};
  verdict.draws = 8;
  verdict.steps = {{"run[0] first", 0.75}, {"run[1] second", 0.25}};
  verdict.steps[1].cycles = 1e6;
  verdict.steps[1].instructions = 2.5e6;
  verdict.steps[1].page_faults = 0;
  const auto back = parse_verdict(nlohmann::json::parse(verdict_json(verdict).dump()));
  ASSERT_TRUE(back);
  EXPECT_EQ(verdict_json(*back), verdict_json(verdict));
  EXPECT_EQ(back->kind, VerdictKind::kSlower);
  EXPECT_EQ(back->tier, Tier::kPromotion);
  EXPECT_TRUE(std::isinf(back->candidate_error->rho_max));
  EXPECT_EQ(back->baselines.size(), 2u);
  ASSERT_EQ(back->steps.size(), 2u);
  EXPECT_EQ(back->steps[1].step, "run[1] second");
  EXPECT_EQ(back->steps[1].instructions, 2.5e6);
  EXPECT_EQ(program::counted_text(back->steps[1]), "2.5 instructions a cycle");
  EXPECT_FALSE(back->steps[0].cycles);
  EXPECT_TRUE(back->correct());
}

TEST(RefereeVerdict, NamesComeBack) {
  for (int i = 0; i < 8; ++i) {
    const auto kind = static_cast<VerdictKind>(i);
    EXPECT_EQ(verdict_from_name(verdict_name(kind)), kind);
  }
  EXPECT_FALSE(verdict_from_name("fine"));
}

TEST(RefereeVerdict, MalformedJsonIsAnError) {
  EXPECT_FALSE(parse_verdict(nlohmann::json::object()));
  EXPECT_FALSE(parse_verdict({{"verdict", "fine"}}));
  EXPECT_FALSE(parse_verdict({{"verdict", "slower"}, {"tier", "third"}}));
  EXPECT_FALSE(parse_verdict({{"verdict", "slower"}, {"draws", "many"}}));
  EXPECT_FALSE(parse_verdict(nlohmann::json::array()));
}

}  // namespace
}  // namespace kernelwright::referee

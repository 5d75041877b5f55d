// SPDX-License-Identifier: Apache-2.0
// Rank correlation, budget curve, and what a bench makes of them.
#include "search/search_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "search/bench_suite.h"

namespace kernelwright::search {
namespace {

TEST(SearchFigures, RankCorrelationIsOfRanks) {
  EXPECT_EQ(rank_correlation({{1, 10}, {2, 1e3}, {3, 1e5}, {4, 1e9}}), 1.0);
  EXPECT_EQ(rank_correlation({{1, 4}, {2, 3}, {3, 2}, {4, 1}}), -1.0);
  // Ranks 0, 1.5, 1.5, 3 against 0, 2, 1, 3: 4.5 / sqrt(4.5 * 5).
  EXPECT_NEAR(*rank_correlation({{1, 1}, {2, 5}, {2, 3}, {9, 7}}), 0.948683, 1e-6);
}

TEST(SearchFigures, TooFewOrAllAlikeHaveNone) {
  EXPECT_EQ(rank_correlation({{1, 1}, {2, 2}, {3, 3}}), std::nullopt);
  EXPECT_EQ(rank_correlation({{1, 1}, {1, 2}, {1, 3}, {1, 4}}), std::nullopt);
}

TEST(SearchFigures, ShareOfTheFinalSpeed) {
  const std::vector<std::pair<double, double>> curve = {{2, 8}, {6, 4}, {20, 2}};
  EXPECT_EQ(share_of_final(curve, 1), 0);
  EXPECT_EQ(share_of_final(curve, 5), 0.25);
  EXPECT_EQ(share_of_final(curve, 15), 0.5);
  EXPECT_EQ(share_of_final(curve, 60), 1);
  EXPECT_EQ(share_of_final({}, 60), 0);
}

TEST(SearchFigures, ABenchSumsThemUp) {
  const auto row = nlohmann::json::parse(R"({"workload": "w", "status": "improved", "coverage": 1,
    "baseline": {"eager_ms": 2, "best_ms": 2}, "best": {"ms": 1, "speedup": 2}, "regions": [
      {"search": {"curve": [{"elapsed_s": 2, "ms": 8}, {"elapsed_s": 6, "ms": 4}],
                  "predicted_measured_s": [[1, 1], [2, 2], [3, 3], [4, 4]]}},
      {"search": {"curve": [], "predicted_measured_s": []}}]})");
  const SuiteSummary summary = summarize({row});
  EXPECT_EQ(summary.rank_correlation, 1.0);
  EXPECT_EQ(summary.ranked_regions, 1);
  EXPECT_EQ(summary.share_of_final, (std::vector<double>{0.5, 1, 1}));
  EXPECT_THAT(summary_text(summary),
              ::testing::HasSubstr("50 / 100 / 100 % of the final speed after 5 / 15 / 60 s"));
}

}  // namespace
}  // namespace kernelwright::search

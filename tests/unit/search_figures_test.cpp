// SPDX-License-Identifier: Apache-2.0
// Rank correlation, budget curve, and what a bench makes of them.
#include "search/search_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
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

TEST(Suite, GeomeanCountsKeptBaselinesAsOne) {
  const auto improved = [](double speedup) {
    return nlohmann::json{{"workload", "w"},
                          {"status", "improved"},
                          {"coverage", 1.0},
                          {"baseline", {{"eager_ms", 8.0}, {"best_ms", 4.0}}},
                          {"best", {{"ms", 4.0 / speedup}, {"speedup", speedup}}}};
  };
  const nlohmann::json kept = {{"workload", "k"},
                               {"status", "baseline_kept"},
                               {"coverage", 0.0},
                               {"baseline", {{"eager_ms", 1.0}, {"best_ms", 1.0}}},
                               {"best", nullptr}};
  const nlohmann::json error = {
      {"workload", "e"}, {"status", "error"}, {"error", {{"message", "m"}}}};
  const auto summary = summarize({improved(4), kept, error});
  EXPECT_EQ(summary.right, 2);
  EXPECT_EQ(summary.errors, 1);
  EXPECT_NEAR(summary.geomean, 2.0, 1e-9);
  EXPECT_NEAR(summary.geomean_eager, std::sqrt(8.0), 1e-9);
  EXPECT_NEAR(summary.fast_p_best[0].second, 1.0 / 3, 1e-9);
  EXPECT_NEAR(summary.fast_p_best[3].second, 1.0 / 3, 1e-9);
  EXPECT_EQ(summary.covered, 1);
}

TEST(Suite, SaysWhatWasTimedOnABusyMachine) {
  nlohmann::json row = {{"workload", "k"},
                        {"status", "baseline_kept"},
                        {"coverage", 0.0},
                        {"baseline", {{"eager_ms", 1.0}, {"best_ms", 1.0}}},
                        {"speed_of_light", {{"fraction", 0.5}}},
                        {"best", nullptr}};
  EXPECT_EQ(suite_row(row).back(), "baseline_kept");
  EXPECT_EQ(summary_text(summarize({row})).find("figures may be off"), std::string::npos);
  row["disturbed"] = true;
  EXPECT_EQ(suite_row(row).back(), "baseline_kept *");
  EXPECT_NE(summary_text(summarize({row})).find("1 timed while other"), std::string::npos);
}

TEST(Suite, ShardsTogetherAreTheWhole) {
  const std::vector<std::string> all = {"a", "b", "c", "d", "e"};
  auto one = shard(all, 1, 2), two = shard(all, 2, 2);
  EXPECT_EQ(one.size() + two.size(), all.size());
  EXPECT_EQ(one, (std::vector<std::string>{"a", "c", "e"}));
}

}  // namespace
}  // namespace kernelwright::search

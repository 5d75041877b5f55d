// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "search/region_search.h"

namespace kernelwright::search {

// Spearman's rank correlation (C. Spearman, The Proof and Measurement of Association between Two
// Things, 1904), equal values at the mean of their ranks: 1 where predictions put
// programs in the order in which they were measured. nullopt for fewer than four programs, or where
// one side is the same throughout.
std::optional<double> rank_correlation(const std::vector<std::pair<double, double>>& pairs);

// The budget curve: how much of the final speed a search had after these seconds.
inline constexpr std::array<double, 3> kCurveSeconds = {5, 15, 60};
// `curve`: (elapsed s, best ms so far), in order. Final best over the best by then; 0 before the
// first.
double share_of_final(const std::vector<std::pair<double, double>>& curve, double seconds);

// How well a search was predicted before it measured: rank correlations, of at least four programs.
struct PredictionFigures {
  std::optional<double> model;              // of all programs, by the machine model
  std::optional<double> learned;            // of those that had a learned prediction
  std::optional<double> model_of_the_same;  // of those, by the machine model
  int programs = 0, learned_programs = 0;
};
PredictionFigures prediction_figures(const RegionSearchResult& search);

// Both, of a region of result.json.
std::optional<double> rank_correlation_of(const nlohmann::json& region);
std::vector<std::pair<double, double>> curve_of(const nlohmann::json& region);

}  // namespace kernelwright::search

// SPDX-License-Identifier: Apache-2.0
#include "search/search_figures.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace kernelwright::search {

namespace {

constexpr size_t kFewestRanked = 4;

// A list of a region's search; empty where there is none.
nlohmann::json list_of(const nlohmann::json& region, const char* name) {
  return region.value("search", nlohmann::json::object()).value(name, nlohmann::json::array());
}

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) rank[order[i]] = static_cast<double>(begin + end - 1) / 2;
    begin = end;
  }
  return rank;
}

}  // namespace

std::optional<double> rank_correlation(const std::vector<std::pair<double, double>>& pairs) {
  if (pairs.size() < kFewestRanked) return std::nullopt;
  std::vector<double> first, second;
  for (const auto& [a, b] : pairs) {
    first.push_back(a);
    second.push_back(b);
  }
  const std::vector<double> x = ranks(first), y = ranks(second);
  // Both have this mean, ties or not.
  const double mean = static_cast<double>(pairs.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  if (xx <= 0 || yy <= 0) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

double share_of_final(const std::vector<std::pair<double, double>>& curve, double seconds) {
  double by_then = 0;
  for (const auto& [elapsed, ms] : curve)
    if (elapsed <= seconds) by_then = ms;
  return by_then > 0 ? curve.back().second / by_then : 0;
}

PredictionFigures prediction_figures(const RegionSearchResult& search) {
  std::vector<std::pair<double, double>> learned, model;
  for (const auto& figure : search.learned) {
    learned.emplace_back(figure.learned, figure.measured);
    model.emplace_back(figure.predicted, figure.measured);
  }
  return {rank_correlation(search.predicted_measured), rank_correlation(learned),
          rank_correlation(model), static_cast<int>(search.predicted_measured.size()),
          static_cast<int>(search.learned.size())};
}

std::optional<double> rank_correlation_of(const nlohmann::json& region) {
  std::vector<std::pair<double, double>> pairs;
  for (const auto& pair : list_of(region, "predicted_measured_s"))
    pairs.emplace_back(pair.at(0).get<double>(), pair.at(1).get<double>());
  return rank_correlation(pairs);
}

std::vector<std::pair<double, double>> curve_of(const nlohmann::json& region) {
  std::vector<std::pair<double, double>> curve;
  for (const auto& point : list_of(region, "curve"))
    curve.emplace_back(point.at("elapsed_s").get<double>(), point.at("ms").get<double>());
  return curve;
}

}  // namespace kernelwright::search

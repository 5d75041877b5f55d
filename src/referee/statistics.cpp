// SPDX-License-Identifier: Apache-2.0
#include "referee/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "referee/tolerance.h"

namespace kernelwright::referee {

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  const double share = place - static_cast<double>(below);
  return values[below] * (1 - share) + values[above] * share;
}

double median(std::vector<double> values) {
  return quantile(std::move(values), 0.5);
}

double relative_spread(const std::vector<double>& values) {
  const double middle = median(values);
  return middle > 0 ? (quantile(values, 0.9) - quantile(values, 0.1)) / middle : 0;
}

Interval median_interval(std::vector<double> values, double alpha) {
  Interval interval{1, 0, std::numeric_limits<double>::infinity()};
  if (values.empty()) return interval;
  std::sort(values.begin(), values.end());
  const int n = static_cast<int>(values.size());
  interval.median = median(values);
  // cumulative = P(Binomial(n, 1/2) < l), in logarithms for large n.
  double cumulative = 0;
  int rank = 0;
  for (int k = 0; k < n / 2; ++k) {
    cumulative += std::exp(std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) -
                           n * std::log(2.0));
    if (cumulative > alpha / 2) break;
    rank = k + 1;
  }
  if (rank == 0) return interval;
  interval.low = values[static_cast<size_t>(rank - 1)];
  interval.high = values[static_cast<size_t>(n - rank)];
  return interval;
}

LookPlan plan_looks(double seconds_per_round, double bound_s) {
  LookPlan plan;
  const double alpha = 1 - kTolerances.confidence;
  if (seconds_per_round * 9 > bound_s) {
    plan.rounds = {6};
    plan.alpha = alpha;
    return plan;
  }
  plan.rounds = {9, 12, 16, 24, 32, 48, 64, 96};
  // One share is left for a look when time runs out.
  plan.alpha = alpha / static_cast<double>(plan.rounds.size() + 1);
  return plan;
}

void PairedComparison::add(double reference, double candidate) {
  reference_.push_back(reference);
  candidate_.push_back(candidate);
  ratios_.push_back(candidate > 0 ? reference / candidate : 1);
}

bool PairedComparison::look_due() const {
  return next_ < plan_.rounds.size() && rounds() >= plan_.rounds[next_];
}

const Interval& PairedComparison::look() {
  while (look_due()) ++next_;
  interval_ = median_interval(ratios_, plan_.alpha);
  return interval_;
}

const Interval& PairedComparison::last_look() {
  if (rounds() > 0) interval_ = median_interval(ratios_, plan_.alpha);
  return interval_;
}

StopRule stop_when_decided(double noticeable) {
  return [noticeable](const Interval& interval, double) {
    return interval.low > noticeable || interval.high < noticeable;
  };
}

StopRule stop_when_precise(double half_width) {
  return [half_width](const Interval& interval, double) {
    return (interval.high - interval.low) < 2 * half_width * interval.median;
  };
}

StopRule stop_after(double seconds) {
  return [seconds](const Interval&, double elapsed_s) { return elapsed_s >= seconds; };
}

StopRule any_of(std::vector<StopRule> rules) {
  return [rules = std::move(rules)](const Interval& interval, double elapsed_s) {
    return std::any_of(rules.begin(), rules.end(),
                       [&](const StopRule& rule) { return rule(interval, elapsed_s); });
  };
}

}  // namespace kernelwright::referee

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

namespace kernelwright::referee {

double median(std::vector<double> values);
double quantile(std::vector<double> values, double q);  // linear between order statistics
// (p90 - p10) / median.
double relative_spread(const std::vector<double>& values);

// Distribution-free interval of a median: the order statistics [x_(l), x_(n+1-l)] with the largest
// l for which P(Binomial(n, 1/2) < l) <= alpha / 2. Too few values: [0, infinity].
struct Interval {
  double median = 1, low = 0, high = 0;
};
Interval median_interval(std::vector<double> values, double alpha);

// When to look at the data. Every look spends an equal share of 1 - confidence (Bonferroni), so a
// comparison that stops early is no more often wrong than one that runs to its end.
struct LookPlan {
  std::vector<int> rounds;  // ascending; the last is the most rounds ever taken
  double alpha = 0.05;      // per look
};
// Many cheap rounds: looks at 9, 12, 16, ... Few dear ones (fewer than 9 fit): one look after 6.
LookPlan plan_looks(double seconds_per_round, double bound_s);

// Paired samples of two contenders, taken in turns. ratio = reference / candidate: above 1, the
// candidate is faster.
class PairedComparison {
 public:
  explicit PairedComparison(LookPlan plan) : plan_(std::move(plan)) {}
  void add(double reference, double candidate);
  int rounds() const { return static_cast<int>(ratios_.size()); }
  // Looks that are due now; the interval of the latest one, [0, inf] before the first.
  bool look_due() const;
  const Interval& look();
  const Interval& interval() const { return interval_; }
  bool exhausted() const { return rounds() >= plan_.rounds.back(); }
  // A last look when time ran out between two planned ones; counted in the plan's share.
  const Interval& last_look();

  const std::vector<double>& reference() const { return reference_; }
  const std::vector<double>& candidate() const { return candidate_; }

 private:
  LookPlan plan_;
  std::vector<double> reference_, candidate_, ratios_;
  size_t next_ = 0;
  Interval interval_{1, 0, 1e300};
};

// When a comparison may stop. Small strategies, put together with any_of; asked after every look.
using StopRule = std::function<bool(const Interval& interval, double elapsed_s)>;
StopRule stop_when_decided(double noticeable);  // the interval lies on one side of it
StopRule stop_when_precise(double half_width);  // relative to the median
StopRule stop_after(double seconds);
StopRule any_of(std::vector<StopRule> rules);

}  // namespace kernelwright::referee

// SPDX-License-Identifier: Apache-2.0
#include "expert/learned_cost.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

namespace kernelwright::expert {
namespace {

constexpr size_t kFewestMeasured = 4;
constexpr size_t kMostMeasured = 256;
// Shares of an op's likeness: family, knobs one by one, all knobs at once.
constexpr double kOfFamily = 0.2, kOfKnobs = 0.4, kOfWhole = 0.4;
constexpr double kNoise = 0.05;  // variance of a measurement beside that of what is learned

// Square of the octaves between two values of a knob; 0 and a value are further apart.
double apart(int64_t a, int64_t b) {
  const auto octave = [](int64_t value) {
    return std::log2(1.0 + std::abs(static_cast<double>(value)));
  };
  const double d = octave(a) - octave(b);
  return a == b ? 0 : std::max(d * d, 0.25);
}

double likeness_of(const Made::Part& a, const Made::Part& b) {
  if (a.family != b.family) return 0;
  double knobs = 0, octaves = 0;
  for (const auto& [name, value] : a.schedule) {
    const auto other = b.schedule.find(name);
    const double d = other == b.schedule.end() ? 1 : apart(value, other->second);
    knobs += std::exp(-d / 2);
    octaves += d;
  }
  const double one_by_one = a.schedule.empty() ? 1 : knobs / static_cast<double>(a.schedule.size());
  return kOfFamily + kOfKnobs * one_by_one + kOfWhole * std::exp(-octaves / 2);
}

}  // namespace

LearnedCost::LearnedCost(std::vector<double> weights) {
  weigh(std::move(weights));
}

void LearnedCost::weigh(std::vector<double> weights) {
  weights_ = std::move(weights);
  const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  for (double& weight : weights_)
    weight = sum > 0 ? weight / sum : 1.0 / static_cast<double>(weights_.size());
  if (ready()) solve();
}

double LearnedCost::likeness(const Made& a, const Made& b) const {
  double sum = 0;
  for (size_t i = 0; i < weights_.size() && i < a.parts.size() && i < b.parts.size(); ++i)
    sum += weights_[i] * likeness_of(a.parts[i], b.parts[i]);
  return sum;
}

void LearnedCost::learn(const Made& made, double predicted_s, double measured_s) {
  if (predicted_s <= 0 || measured_s <= 0) return;
  std::erase_if(measured_, [&](const auto& earlier) { return earlier.first == made; });
  if (measured_.size() >= kMostMeasured) measured_.erase(measured_.begin());
  measured_.emplace_back(made, std::log(measured_s / predicted_s));
  if (ready()) solve();
}

bool LearnedCost::ready() const {
  return measured_.size() >= kFewestMeasured;
}

double LearnedCost::corrected(const Made& made, double predicted_s) const {
  if (!ready()) return predicted_s;
  double corrected = predicted_s * std::exp(mean_);
  for (size_t op = 0; op < weights_.size() && op < made.parts.size(); ++op)
    corrected *= correction_of(op, made.parts[op]);
  return corrected;
}

double LearnedCost::correction_of(size_t op, const Made::Part& part) const {
  if (!ready()) return 1;
  double correction = 0;
  for (size_t i = 0; i < measured_.size(); ++i)
    correction += solution_[i] * weights_[op] * likeness_of(part, measured_[i].first.parts[op]);
  return std::exp(correction);
}

// (K + noise) x = logarithms - mean, by Cholesky's decomposition.
void LearnedCost::solve() {
  const size_t n = measured_.size();
  mean_ = 0;
  for (const auto& [made, ratio] : measured_) mean_ += ratio / static_cast<double>(n);
  std::vector<std::vector<double>> lower(n, std::vector<double>(n, 0));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = likeness(measured_[i].first, measured_[j].first) + (i == j ? kNoise : 0);
      for (size_t k = 0; k < j; ++k) sum -= lower[i][k] * lower[j][k];
      lower[i][j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / lower[j][j];
    }
  }
  solution_.assign(n, 0);
  for (size_t i = 0; i < n; ++i) {
    double sum = measured_[i].second - mean_;
    for (size_t k = 0; k < i; ++k) sum -= lower[i][k] * solution_[k];
    solution_[i] = sum / lower[i][i];
  }
  for (size_t i = n; i-- > 0;) {
    double sum = solution_[i];
    for (size_t k = i + 1; k < n; ++k) sum -= lower[k][i] * solution_[k];
    solution_[i] = sum / lower[i][i];
  }
}

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

namespace kernelwright::search {

// Successive halving (Jamieson and Talwalkar, 2016): everybody is measured a little, the better
// half again with twice the time, until one is left. `measure(contender, time_s)` returns its cost
// (lower is better; infinity drops it). `stop` ends between measurements. Returns the contenders
// that were alive in the last complete rung, best first.
inline std::vector<size_t> successive_halving(size_t contenders, double first_time_s, int rungs,
                                              const std::function<double(size_t, double)>& measure,
                                              const std::function<bool()>& stop) {
  std::vector<size_t> alive(contenders);
  for (size_t i = 0; i < contenders; ++i) alive[i] = i;
  double time_s = first_time_s;
  for (int rung = 0; rung < rungs; ++rung, time_s *= 2) {
    std::vector<std::pair<double, size_t>> scored;
    for (size_t contender : alive) {
      if (stop()) break;
      const double cost = measure(contender, time_s);
      if (cost < std::numeric_limits<double>::infinity()) scored.emplace_back(cost, contender);
    }
    // A rung cut short says nothing of those it did not reach.
    if (scored.empty() || (rung > 0 && scored.size() < alive.size() && stop())) break;
    std::stable_sort(scored.begin(), scored.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    const size_t keep = rung + 1 < rungs ? std::max<size_t>(1, scored.size() / 2) : scored.size();
    alive.clear();
    for (size_t i = 0; i < keep; ++i) alive.push_back(scored[i].second);
    if (alive.size() == 1) break;
  }
  return alive;
}

}  // namespace kernelwright::search

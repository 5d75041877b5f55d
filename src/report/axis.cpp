// SPDX-License-Identifier: Apache-2.0
#include "report/axis.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace kernelwright::report {
namespace {

constexpr double kLargest = 1e30;

}  // namespace

void Axis::include(double value) {
  if (!(std::fabs(value) <= kLargest) || (log && value < 1 / kLargest)) return;
  low = std::min(low, value);
  high = std::max(high, value);
}

void Axis::close() {
  if (log) {
    low /= 1.15;
    high *= 1.15;
  } else {
    low = std::min(0.0, low);
    high = high > low ? high * 1.05 : low + 1;
  }
}

double Axis::at(double value) const {
  const double t = log ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low))
                       : (value - low) / (high - low);
  return from + t * (to - from);
}

std::vector<double> Axis::ticks(size_t most) const {
  std::vector<double> out;
  if (log) {
    std::vector<double> powers;
    for (double power = std::floor(std::log10(low)); power <= std::ceil(std::log10(high));
         power += 1)
      for (double factor : {1.0, 2.0, 5.0}) {
        const double tick = factor * std::pow(10, power);
        if (tick < low || tick > high) continue;
        out.push_back(tick);
        if (factor == 1.0) powers.push_back(tick);
      }
    if (out.size() > most && powers.size() > 1) out = powers;
    while (out.size() > most) {
      std::vector<double> fewer;
      for (size_t i = 0; i < out.size(); i += 2) fewer.push_back(out[i]);
      out = std::move(fewer);
    }
    if (out.size() > 1) return out;
    out.clear();  // too narrow for 1, 2, 5
  }
  const double raw = (high - low) / static_cast<double>(std::max<size_t>(most, 3) - 2);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double step = raw / power < 1.5   ? power
                      : raw / power < 3.5 ? 2 * power
                      : raw / power < 7.5 ? 5 * power
                                          : 10 * power;
  for (double tick = std::ceil(low / step) * step; tick <= high; tick += step) out.push_back(tick);
  return out;
}

std::string tick_text(double value) {
  if (value >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

}  // namespace kernelwright::report

// SPDX-License-Identifier: Apache-2.0
#include "report/svg.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kernelwright::report {
namespace {

constexpr double kWidth = 640, kHeight = 260, kLeft = 64, kRight = 16, kTop = 14, kBottom = 40;

// One axis: data to pixels, and where ticks stand.
struct Axis {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  bool log = false;
  double from = 0, to = 1;  // pixels

  void include(double value) {
    if (!std::isfinite(value) || (log && value <= 0)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
  void close() {
    if (log) {
      low /= 1.15;
      high *= 1.15;
    } else {
      low = std::min(0.0, low);
      high = high > low ? high * 1.05 : low + 1;
    }
  }
  double at(double value) const {
    const double t = log ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low))
                         : (value - low) / (high - low);
    return from + t * (to - from);
  }
  std::vector<double> ticks() const {
    std::vector<double> out;
    if (log) {
      for (double power = std::floor(std::log10(low)); power <= std::ceil(std::log10(high));
           power += 1)
        for (double factor : {1.0, 2.0, 5.0}) {
          const double tick = factor * std::pow(10, power);
          if (tick >= low && tick <= high) out.push_back(tick);
        }
      while (out.size() > 7) {
        std::vector<double> fewer;
        for (size_t i = 0; i < out.size(); i += 2) fewer.push_back(out[i]);
        out = std::move(fewer);
      }
      if (out.size() > 2) return out;
      out.clear();  // too narrow for 1, 2, 5
    }
    const double raw = (high - low) / 5;
    const double power = std::pow(10, std::floor(std::log10(raw)));
    const double step = raw / power < 1.5   ? power
                        : raw / power < 3.5 ? 2 * power
                        : raw / power < 7.5 ? 5 * power
                                            : 10 * power;
    for (double tick = std::ceil(low / step) * step; tick <= high; tick += step)
      out.push_back(tick);
    return out;
  }
};

}  // namespace

std::string svg(const Chart& chart) {
  Axis x{.log = chart.log_x, .from = kLeft, .to = kWidth - kRight};
  Axis y{.log = chart.log_y, .from = kHeight - kBottom, .to = kTop};
  for (const auto& series : chart.series)
    for (const auto& [px, py] : series.points) {
      x.include(px);
      y.include(py);
    }
  if (x.empty() || y.empty()) return "";
  for (const auto& rule : chart.rules) y.include(rule.y);
  x.close();
  y.close();

  std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\"><title>{}</title>", kWidth,
                                kHeight, chart.title);
  for (double tick : x.ticks())
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text "
        "x=\"{0:.1f}\" y=\"{3}\" "
        "text-anchor=\"middle\">{4:.4g}</text>",
        x.at(tick), kTop, kHeight - kBottom, kHeight - kBottom + 16, tick);
  for (double tick : y.ticks())
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text x=\"{3}\" "
        "y=\"{4:.1f}\" "
        "text-anchor=\"end\">{5:.4g}</text>",
        kLeft, kWidth - kRight, y.at(tick), kLeft - 6, y.at(tick) + 4, tick);
  for (const auto& rule : chart.rules)
    out += fmt::format(
        "<line class=\"rule\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text "
        "class=\"rule\" x=\"{3}\" y=\"{4:.1f}\" "
        "text-anchor=\"end\">{5}</text>",
        kLeft, kWidth - kRight, y.at(rule.y), kWidth - kRight - 4, y.at(rule.y) - 4, rule.label);
  for (const auto& series : chart.series) {
    if (series.css_class == "dots") {
      for (const auto& [px, py] : series.points)
        if (!(chart.log_x && px <= 0) && !(chart.log_y && py <= 0))
          out += fmt::format("<circle class=\"dots\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>",
                             x.at(px), y.at(py));
      continue;
    }
    std::string path;
    double previous = 0;
    for (size_t i = 0; i < series.points.size(); ++i) {
      const auto [px, py] = series.points[i];
      if (i > 0 && series.steps) path += fmt::format("L{:.1f} {:.1f}", x.at(px), previous);
      path += fmt::format("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", x.at(px), y.at(py));
      previous = y.at(py);
    }
    out += fmt::format("<path class=\"{}\" d=\"{}\"/>", series.css_class, path);
  }
  out += fmt::format("<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                     (kLeft + kWidth) / 2, kHeight - 6, chart.x_label);
  out += fmt::format(
      "<text class=\"label\" transform=\"translate(14 {}) rotate(-90)\" "
      "text-anchor=\"middle\">{}</text></svg>",
      kHeight / 2, chart.y_label);
  return out;
}

}  // namespace kernelwright::report

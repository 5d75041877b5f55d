// SPDX-License-Identifier: Apache-2.0
#include "report/svg.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace kernelwright::report {
namespace {

constexpr double kLeft = 58, kRight = 14, kTop = 14, kBottom = 42;
constexpr double kWide = 720, kWideHeight = 270, kNarrow = 340, kNarrowHeight = 250;

std::string dot(double x, double y, const std::string& title) {
  return fmt::format(
      "<circle class=\"dots\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{}</title></circle>", x, y,
      title);
}

std::string drawn(const Chart::Series& series, const Axis& x, const Axis& y) {
  std::string out;
  if (series.css_class == "dots") {
    for (const auto& [px, py] : series.points)
      if (x.holds(px) && y.holds(py))
        out += fmt::format("<circle class=\"dots\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>", x.at(px),
                           y.at(py));
    return out;
  }
  std::string path, dots;
  double previous = 0;
  for (size_t i = 0; i < series.points.size(); ++i) {
    const auto [px, py] = series.points[i];
    if (!x.holds(px) || !y.holds(py)) continue;
    if (!path.empty() && series.steps) path += fmt::format("L{:.1f} {:.1f}", x.at(px), previous);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x.at(px), y.at(py));
    previous = y.at(py);
    if (i < series.titles.size()) dots += dot(x.at(px), y.at(py), series.titles[i]);
  }
  return fmt::format("<path class=\"{}\" d=\"{}\"/>", series.css_class, path) + dots;
}

// A label stands above its line, below where another one is near.
std::string drawn(const std::vector<Chart::Rule>& rules, const Axis& y, double right) {
  std::string out;
  std::vector<double> taken;
  for (const auto& rule : rules) {
    if (!y.holds(rule.y)) continue;
    const double at = y.at(rule.y);
    double label = at - 5;
    if (label < kTop + 8 || std::any_of(
                                taken.begin(), taken.end(),
                                [&](double other) { return std::fabs(other - label) < 13; }))
      label = at + 13;
    taken.push_back(label);
    out += fmt::format(
        "<line class=\"rule\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text "
        "x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>",
        kLeft, right, at, right - 4, label, rule.label);
  }
  return out;
}

}  // namespace

void place_axes(const Frame& frame, Axis& x, Axis& y) {
  x.from = kLeft;
  x.to = frame.width - kRight;
  y.from = frame.height - kBottom;
  y.to = kTop;
}

std::string framed(const Frame& frame, const Axis& x, const Axis& y, const std::string& body) {
  const double bottom = frame.height - kBottom, right = frame.width - kRight;
  std::string out = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\"><title>{}</title>",
                                frame.width, frame.height, frame.title);
  for (double tick : x.ticks(static_cast<size_t>(frame.width / 60)))
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text "
        "x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>",
        x.at(tick), kTop, bottom, bottom + 16, tick_text(tick));
  for (double tick : y.ticks())
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text x=\"{3}\" "
        "y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>",
        kLeft, right, y.at(tick), kLeft - 6, y.at(tick) + 4, tick_text(tick));
  out += body;
  return out + fmt::format(
                   "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text><text "
                   "transform=\"translate(13 {:.1f}) rotate(-90)\" "
                   "text-anchor=\"middle\">{}</text></svg>",
                   (kLeft + right) / 2, frame.height - 7, frame.x_label, (kTop + bottom) / 2,
                   frame.y_label);
}

std::string svg(const Chart& chart) {
  Axis x{.log = chart.log_x}, y{.log = chart.log_y};
  for (const auto& series : chart.series)
    for (const auto& [px, py] : series.points) {
      x.include(px);
      y.include(py);
    }
  if (x.empty() || y.empty()) return "";
  for (const auto& rule : chart.rules) y.include(rule.y);
  x.close();
  y.close();
  const Frame frame{chart.title, chart.x_label, chart.y_label, chart.width, chart.height};
  place_axes(frame, x, y);
  std::string body = drawn(chart.rules, y, chart.width - kRight);
  for (const auto& series : chart.series) body += drawn(series, x, y);
  return framed(frame, x, y, body);
}

std::string for_both_widths(const std::function<std::string(double, double)>& draw) {
  const std::string wide = draw(kWide, kWideHeight);
  if (wide.empty()) return "";
  return "<div class=\"chart wide\">" + wide + "</div><div class=\"chart narrow\">" +
         draw(kNarrow, kNarrowHeight) + "</div>";
}

std::string svg_for_both_widths(Chart chart) {
  return for_both_widths([&](double width, double height) {
    chart.width = width;
    chart.height = height;
    return svg(chart);
  });
}

}  // namespace kernelwright::report

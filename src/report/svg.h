// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "report/axis.h"

namespace kernelwright::report {

// Small inline charts; colours come from the page's CSS variables. Labels must be escaped already.
struct Chart {
  std::string title;  // <title>, for screen readers
  std::string x_label, y_label;
  bool log_x = false, log_y = false;
  struct Series {
    std::string css_class;  // "line" or "dots"
    std::vector<std::pair<double, double>> points;
    bool steps = false;               // hold the value until the next point
    std::vector<std::string> titles;  // of the points; shown on a line as dots with titles
  };
  std::vector<Series> series;
  struct Rule {
    double y = 0;
    std::string label;
  };
  std::vector<Rule> rules;  // horizontal lines, e.g. a baseline
  double width = 720, height = 270;
};

// Empty when there is nothing to draw.
std::string svg(const Chart& chart);

// The frame of a chart: axes with their ticks and labels; what is drawn between goes to `body`.
struct Frame {
  std::string title, x_label, y_label;
  double width = 720, height = 270;
};
// Sets the pixels of both axes, which hold their data.
void place_axes(const Frame& frame, Axis& x, Axis& y);
std::string framed(const Frame& frame, const Axis& x, const Axis& y, const std::string& body);

// The same drawn twice, for wide and for narrow pages, so that letters keep their size; the page's
// style shows one. `draw` takes width and height.
std::string for_both_widths(const std::function<std::string(double, double)>& draw);
std::string svg_for_both_widths(Chart chart);

}  // namespace kernelwright::report

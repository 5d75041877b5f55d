// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kernelwright::report {

// Small inline charts; colours come from the page's CSS variables. Labels must be escaped already.
struct Chart {
  std::string title;  // <title>, for screen readers
  std::string x_label, y_label;
  bool log_x = false, log_y = false;
  struct Series {
    std::string css_class;  // "line" or "dots"
    std::vector<std::pair<double, double>> points;
    bool steps = false;  // hold the value until the next point
  };
  std::vector<Series> series;
  struct Rule {
    double y = 0;
    std::string label;
  };
  std::vector<Rule> rules;  // horizontal lines, e.g. a baseline
};

// Empty when there is nothing to draw.
std::string svg(const Chart& chart);

}  // namespace kernelwright::report

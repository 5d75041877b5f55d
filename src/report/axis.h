// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace kernelwright::report {

// One axis of a chart: data to pixels, and where ticks stand. include() the data, then close().
struct Axis {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  bool log = false;
  double from = 0, to = 1;  // pixels

  // What is not positive on a logarithmic axis, or beyond 1e30 either way, is passed over.
  void include(double value);
  bool holds(double value) const { return value >= low && value <= high; }
  bool empty() const { return low > high; }
  // Leaves room beside the data; a linear axis begins at 0.
  void close();
  double at(double value) const;
  // At most about `most` of them, on round numbers.
  std::vector<double> ticks(size_t most = 7) const;
};

// "0.25", "30", "4k", "1e-05": a number beside a tick.
std::string tick_text(double value);

}  // namespace kernelwright::report

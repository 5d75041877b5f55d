// SPDX-License-Identifier: Apache-2.0
#include "report/intervals.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/markup.h"
#include "report/table.h"

namespace kernelwright::report {

Interval interval_of(const nlohmann::json& object, std::string name, double reference_ms) {
  return {std::move(name), reference_ms, number_at(object, "speedup"),
          number_at(object, "speedup_low"), number_at(object, "speedup_high")};
}

std::string baseline_title(const std::string& name) {
  if (name == "eager") return "PyTorch eager";
  if (name == "compile") return "torch.compile";
  return escape_html(name);
}

std::string intervals_html(const std::vector<Interval>& intervals) {
  double low = 1, high = 1;
  for (const auto& one : intervals) {
    if (one.low > 0) low = std::min(low, one.low);
    high = std::max({high, one.high, one.speedup});
  }
  low /= 1.08;
  high *= 1.08;
  const auto place = [&](double value) {
    const double at = std::log(std::max(value, low) / low) / std::log(high / low);
    return 100 * std::clamp(at, 0.0, 1.0);
  };
  std::string rows;
  for (const auto& one : intervals) {
    if (one.speedup <= 0) continue;
    const double from = place(one.low), to = place(one.high);
    rows += fmt::format(
        "<li><span class=\"ci-name\">{}{}</span><span class=\"ci-track\"><i class=\"one\" "
        "style=\"left:{:.2f}%\"></i><i class=\"bar {}\" style=\"left:{:.2f}%;width:{:.2f}%\"></i>"
        "<i class=\"mid\" style=\"left:{:.2f}%\"></i></span><span class=\"ci-value\"><b>{}</b> "
        "({:.2f} – {:.2f})</span></li>",
        one.name,
        one.reference_ms > 0 ? fmt::format(" <small>{}</small>", ms_text(one.reference_ms)) : "",
        place(1), one.low > 1 ? "up" : (one.high < 1 ? "down" : ""), from, std::max(to - from, 0.3),
        place(one.speedup), ratio_text(one.speedup), one.low, one.high);
  }
  return rows.empty() ? "" : "<ul class=\"ci\">" + rows + "</ul>";
}

}  // namespace kernelwright::report

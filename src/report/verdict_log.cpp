// SPDX-License-Identifier: Apache-2.0
#include "report/verdict_log.h"

#include <nlohmann/json.hpp>

#include "report/markup.h"

namespace kernelwright::report {

std::vector<LoggedVerdict> read_verdicts(const std::vector<std::string>& lines) {
  std::vector<LoggedVerdict> out;
  for (const auto& line : lines) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    const auto& verdict = object_at(entry, "verdict");
    LoggedVerdict one;
    one.kind = text_at(verdict, "verdict");
    if (one.kind.empty()) continue;
    one.program = text_at(entry, "program");
    one.region = text_at(entry, "region");
    one.proposer = text_at(entry, "proposer");
    one.idea = text_at(entry, "idea");
    one.parent = text_at(entry, "parent");
    for (const auto& [knob, value] : object_at(entry, "schedule").items())
      if (value.is_number()) one.schedule[knob] = value.get<double>();
    one.predicted_ms = number_at(entry, "predicted_s") * 1e3;
    one.reason = text_at(verdict, "reason");
    one.promotion = text_at(verdict, "tier") == "promotion";
    const auto& timing = object_at(verdict, "timing");
    one.ms = number_at(timing, "ms");
    one.reference = text_at(timing, "reference");
    one.speedup = number_at(timing, "speedup");
    one.speedup_low = number_at(timing, "speedup_low");
    one.speedup_high = number_at(timing, "speedup_high");
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace kernelwright::report

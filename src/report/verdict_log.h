// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

namespace kernelwright::report {

// One line of verdicts.jsonl, as far as a report needs it. Texts are as they are: not escaped.
struct LoggedVerdict {
  std::string program, region, proposer, idea, parent;
  std::map<std::string, double> schedule;  // the expert's knobs, and uses of rules
  double predicted_ms = 0;
  std::string kind, reason;  // "accepted", "wrong", ...
  bool promotion = false;
  double ms = 0;  // 0: not timed
  std::string reference;
  double speedup = 0, speedup_low = 0, speedup_high = 0;

  bool right() const { return kind == "accepted" || kind == "slower"; }
};

// Lines that are none are skipped.
std::vector<LoggedVerdict> read_verdicts(const std::vector<std::string>& lines);

}  // namespace kernelwright::report

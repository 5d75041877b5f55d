// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "referee/draw_source.h"
#include "referee/referee.h"

namespace kernelwright::referee {

// Which baselines a region has, and their times.
class BaselineTimes {
 public:
  BaselineTimes(DrawSource& source, const RefereeOptions& options)
      : source_(source), options_(options) {}

  // Names of those that run here, the others in the notes. kEnvironment when none does.
  Result<std::vector<std::string>> ready();
  // Measured alone on first use, or what a promotion has kept since.
  Result<Baselines> measured();
  // Takes the times of a promotion; each timing's reference is a baseline.
  const Baselines& keep(const std::vector<Timing>& timings);

 private:
  DrawSource& source_;
  const RefereeOptions& options_;
  std::optional<Baselines> known_;
  std::optional<std::vector<std::string>> ready_;
  std::vector<std::string> notes_;
};

}  // namespace kernelwright::referee

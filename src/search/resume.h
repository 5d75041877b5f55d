// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive/archive.h"
#include "program/proposer.h"

namespace kernelwright::search {

// What the archive knows of one subject: a resumed search counts it and judges none of it again.
struct Earlier {
  // A right program, with the time of its last verdict.
  struct Right {
    program::Proposal proposal;
    double ms = 0;
  };
  std::map<std::string, program::Outcome> outcomes;           // by program id, of its last verdict
  std::map<std::string, int> verdicts;                        // verdict name -> count
  std::vector<std::pair<double, double>> predicted_measured;  // seconds, of right programs
  std::vector<Right> right;  // what no verdict spoke against, fastest first
};

// `right` holds at most `keep` programs.
Result<Earlier> recall(archive::Archive& archive, const std::string& subject, size_t keep);

// A region's program as files, for when the archive does not know it (it was cleared, or is another
// one): the best so far that a killed run left in `partial`, else the finished artifact's in `out`.
std::optional<program::Proposal> left_program(const std::filesystem::path& partial,
                                              const std::filesystem::path& out,
                                              const std::string& region);

}  // namespace kernelwright::search

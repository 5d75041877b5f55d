// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "archive/archive.h"
#include "search/run_result.h"

namespace kernelwright::search {

// What a promotion that accepted a program teaches: the ideas on the way to it, newest first, and
// the gain over the fastest baseline. `target` without a device number, `ops` as in
// archive::SubjectRecord.
archive::Lesson lesson_of(const RegionResult& region, const std::string& ops,
                          const std::string& target, const std::vector<std::string>& ideas);

// The idea of a program and those of its ancestors, newest first, each once, at most three.
Result<std::vector<std::string>> ideas_of(archive::Archive& archive, const std::string& program);

}  // namespace kernelwright::search

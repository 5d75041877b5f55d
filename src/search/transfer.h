// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "archive/archive.h"
#include "program/proposer.h"

namespace kernelwright::search {

// How many schedules of similar regions a search judges first.
inline constexpr size_t kTakenOver = 3;

// Programs of the expert with schedules that were accepted for other extents: of every subject in
// the archive with the same structure, target and policy, of any run or of an earlier region of
// this one, the promoted program, else the fastest that was accepted. Subjects of the same device
// first, then by how near their extents are. Nothing that any verdict spoke against.
Result<std::vector<program::Proposal>> taken_over(archive::Archive& archive,
                                                  const archive::SubjectRecord& subject,
                                                  program::Proposer& expert, size_t limit);

}  // namespace kernelwright::search

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "archive/archive.h"

namespace kernelwright::archive {

// Longest text of a change that is kept: a lesson is a short note, whoever wrote it.
inline constexpr size_t kChangeBytes = 400;

// The region that lessons are wanted for.
struct LessonQuery {
  std::string ops;         // op names, space-separated, as SubjectRecord::ops
  std::string target;      // "cpu", "cuda"
  std::string bottleneck;  // "memory", "compute"
};

// "aten.add.Tensor" -> "add": the same operation, whatever its overload.
std::string op_kind(const std::string& op);
// Shared op kinds over all op kinds of both (Jaccard): 0 without any, 1 when they are the same.
double op_overlap(const std::string& ops, const std::string& other);

// Those that share an op kind with the region: lessons of its target first, then by overlap, where
// the same bottleneck counts as much as half of it, then by gain.
std::vector<Lesson> similar_lessons(std::vector<Lesson> lessons, const LessonQuery& query,
                                    size_t limit);

// One line, bounded, without control characters: a change may be a model's words.
std::string short_change(const std::string& text);

nlohmann::json lesson_json(const Lesson& lesson);

}  // namespace kernelwright::archive

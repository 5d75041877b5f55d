// SPDX-License-Identifier: Apache-2.0
#include "search/lesson.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

namespace kernelwright::search {
namespace {

constexpr size_t kIdeas = 3;

}  // namespace

archive::Lesson lesson_of(const RegionResult& region, const std::string& ops,
                          const std::string& target, const std::vector<std::string>& ideas) {
  archive::Lesson lesson;
  lesson.ops = ops;
  lesson.target = target;
  lesson.bottleneck = region.bound;
  lesson.program = region.program_id;
  if (region.promotion && region.promotion->timing) lesson.gain = region.promotion->timing->speedup;
  lesson.change =
      fmt::format("{} ops in {} launches", region.region.nodes.size(), region.kernels.size());
  for (size_t i = 0; i < ideas.size(); ++i)
    lesson.change += (i == 0 ? ": " : "; before that: ") + ideas[i];
  return lesson;
}

Result<std::vector<std::string>> ideas_of(archive::Archive& archive, const std::string& program) {
  std::vector<std::string> ideas;
  std::set<std::string> seen;
  for (std::string id = program; !id.empty() && ideas.size() < kIdeas && seen.insert(id).second;) {
    auto records = archive.verdicts_of_program(id);
    if (!records || records->empty()) break;  // a parent that was never judged here
    const auto& record = records->back();
    if (!record.idea.empty() && std::find(ideas.begin(), ideas.end(), record.idea) == ideas.end())
      ideas.push_back(record.idea);
    id = record.parent;
  }
  return ideas;
}

}  // namespace kernelwright::search

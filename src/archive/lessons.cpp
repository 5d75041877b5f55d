// SPDX-License-Identifier: Apache-2.0
#include "archive/lessons.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace kernelwright::archive {
namespace {

constexpr double kBottleneckWeight = 0.5;

std::set<std::string> kinds_of(const std::string& ops) {
  std::set<std::string> kinds;
  std::istringstream words(ops);
  for (std::string word; words >> word;) kinds.insert(op_kind(word));
  return kinds;
}

}  // namespace

std::string op_kind(const std::string& op) {
  const size_t first = op.find('.');
  if (first == std::string::npos) return op;
  const size_t second = op.find('.', first + 1);
  return op.substr(first + 1, second == std::string::npos ? second : second - first - 1);
}

double op_overlap(const std::string& ops, const std::string& other) {
  const auto a = kinds_of(ops), b = kinds_of(other);
  size_t shared = 0;
  for (const auto& kind : a) shared += b.count(kind);
  const size_t all = a.size() + b.size() - shared;
  return all == 0 ? 0 : static_cast<double>(shared) / static_cast<double>(all);
}

std::vector<Lesson> similar_lessons(std::vector<Lesson> lessons, const LessonQuery& query,
                                    size_t limit) {
  struct Scored {
    bool same_target;
    double score;
    Lesson lesson;
  };
  std::vector<Scored> found;
  for (auto& lesson : lessons) {
    const double overlap = op_overlap(lesson.ops, query.ops);
    if (overlap == 0) continue;
    const double score =
        overlap * (1 + (lesson.bottleneck == query.bottleneck ? kBottleneckWeight : 0));
    const bool same_target = lesson.target == query.target;
    found.push_back({same_target, score, std::move(lesson)});
  }
  std::stable_sort(found.begin(), found.end(), [](const Scored& a, const Scored& b) {
    if (a.same_target != b.same_target) return a.same_target;
    if (a.score != b.score) return a.score > b.score;
    return a.lesson.gain > b.lesson.gain;
  });
  std::vector<Lesson> out;
  for (size_t i = 0; i < found.size() && i < limit; ++i) out.push_back(std::move(found[i].lesson));
  return out;
}

std::string short_change(const std::string& text) {
  std::string out;
  for (char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (!control)
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (out.size() > kChangeBytes) {
    size_t end = kChangeBytes;
    // Not in the middle of a character.
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
    out.resize(end);
  }
  return out;
}

nlohmann::json lesson_json(const Lesson& lesson) {
  return {{"ops", lesson.ops},        {"target", lesson.target}, {"bottleneck", lesson.bottleneck},
          {"change", lesson.change},  {"gain", lesson.gain},     {"program", lesson.program},
          {"created", lesson.created}};
}

}  // namespace kernelwright::archive

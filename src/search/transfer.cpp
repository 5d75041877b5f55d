// SPDX-License-Identifier: Apache-2.0
#include "search/transfer.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "rewrite/structure.h"

namespace kernelwright::search {
namespace {

constexpr size_t kSubjectsAsked = 16;

// The expert's program to take a schedule from; nullopt: none was accepted.
Result<std::optional<archive::VerdictRecord>> accepted_program(archive::Archive& archive,
                                                               const std::string& subject) {
  KW_TRY(auto records, archive.verdicts_of_subject(subject));
  std::set<std::string> doubtful;
  for (const auto& record : records)
    if (!record.verdict.correct()) doubtful.insert(record.program);
  std::set<std::string> promoted;
  for (const auto& record : records)
    if (record.verdict.tier == referee::Tier::kPromotion &&
        record.verdict.kind == referee::VerdictKind::kAccepted)
      promoted.insert(record.program);
  std::optional<archive::VerdictRecord> best;
  const auto key = [&](const archive::VerdictRecord& record) {
    return std::tuple(!promoted.count(record.program), record.verdict.timing->ms);
  };
  for (auto& record : records) {
    // A promotion's record carries no schedule.
    if (record.proposer != "expert" || record.schedule_json == "{}" ||
        record.verdict.kind != referee::VerdictKind::kAccepted || !record.verdict.timing ||
        doubtful.count(record.program))
      continue;
    if (!best || key(record) < key(*best)) best = std::move(record);
  }
  return best;
}

std::map<std::string, int64_t> schedule_of(const archive::VerdictRecord& record) {
  std::map<std::string, int64_t> schedule;
  const auto parsed = nlohmann::json::parse(record.schedule_json, nullptr, false);
  if (!parsed.is_object()) return schedule;
  for (const auto& [knob, value] : parsed.items())
    if (value.is_number_integer()) schedule[knob] = value.get<int64_t>();
  return schedule;
}

}  // namespace

Result<std::vector<program::Proposal>> taken_over(archive::Archive& archive,
                                                  const archive::SubjectRecord& subject,
                                                  program::Proposer& expert, size_t limit) {
  KW_TRY(auto similar, archive.subjects_like(subject));
  const auto nearness = [&](const archive::SubjectRecord& other) {
    return std::tuple(other.device != subject.device,
                      rewrite::octaves_between(other.extents, subject.extents));
  };
  std::stable_sort(similar.begin(), similar.end(),
                   [&](const auto& a, const auto& b) { return nearness(a) < nearness(b); });
  if (similar.size() > kSubjectsAsked) similar.resize(kSubjectsAsked);
  std::vector<program::Proposal> proposals;
  for (const auto& other : similar) {
    if (proposals.size() >= limit) break;
    KW_TRY(const auto record, accepted_program(archive, other.id));
    if (!record) continue;
    // What this region cannot make is left out, whatever the reason.
    auto proposal = expert.adapt(schedule_of(*record));
    if (!proposal || !*proposal) continue;
    (*proposal)->taken_from = record->program;
    (*proposal)->parent = record->program;
    (*proposal)->idea =
        fmt::format("schedule of {} {}: {}", record->workload, record->region, (*proposal)->idea);
    proposals.push_back(std::move(**proposal));
  }
  return proposals;
}

}  // namespace kernelwright::search

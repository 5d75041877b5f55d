// SPDX-License-Identifier: Apache-2.0
#include "search/transfer.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>

#include "rewrite/structure.h"

namespace kernelwright::search {
namespace {

constexpr size_t kSubjectsAsked = 16;

std::map<std::string, int64_t> parsed_schedule(const std::string& text) {
  std::map<std::string, int64_t> schedule;
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (!parsed.is_object()) return schedule;
  for (const auto& [knob, value] : parsed.items())
    if (value.is_number_integer()) schedule[knob] = value.get<int64_t>();
  return schedule;
}

// What all verdicts on a program of the expert say together.
struct Standing {
  std::string program, workload, region;
  std::map<std::string, int64_t> schedule;  // a promotion's record carries none
  bool accepted = false, promoted = false, doubtful = false;
  double ms = 0;  // of the last timing
};

// The program to take a schedule from; nullopt: none was accepted.
Result<std::optional<Standing>> accepted_program(archive::Archive& archive,
                                                 const std::string& subject) {
  KW_TRY(const auto records, archive.verdicts_of_subject(subject));
  std::map<std::string, Standing> programs;
  for (const auto& record : records) {
    if (record.proposer != "expert") continue;
    Standing& standing = programs[record.program];
    standing.program = record.program;
    standing.workload = record.workload;
    standing.region = record.region;
    if (standing.schedule.empty()) standing.schedule = parsed_schedule(record.schedule_json);
    const auto& verdict = record.verdict;
    const bool accepted = verdict.kind == referee::VerdictKind::kAccepted;
    standing.accepted = standing.accepted || accepted;
    standing.promoted =
        standing.promoted || (accepted && verdict.tier == referee::Tier::kPromotion);
    standing.doubtful = standing.doubtful || !verdict.correct();
    if (verdict.timing) standing.ms = verdict.timing->ms;
  }
  std::optional<Standing> best;
  const auto rank = [](const Standing& s) { return std::tuple(!s.promoted, s.ms, s.program); };
  for (const auto& [id, standing] : programs) {
    if (standing.doubtful || !standing.accepted || standing.schedule.empty()) continue;
    if (!best || rank(standing) < rank(*best)) best = standing;
  }
  return best;
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
    auto proposal = expert.adapt(record->schedule);
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

// SPDX-License-Identifier: Apache-2.0
#include "search/resume.h"

#include <algorithm>
#include <set>

namespace kernelwright::search {
namespace {

namespace fs = std::filesystem;

program::Outcome outcome_of(const archive::VerdictRecord& record) {
  program::Outcome outcome;
  outcome.candidate_id = record.program;
  outcome.verdict = referee::verdict_name(record.verdict.kind);
  outcome.reason = record.verdict.reason;
  outcome.correct = record.verdict.correct();
  if (record.verdict.timing) outcome.seconds = record.verdict.timing->ms / 1e3;
  outcome.steps = record.verdict.steps;
  return outcome;
}

}  // namespace

Result<Earlier> recall(archive::Archive& archive, const std::string& subject, size_t keep) {
  Earlier earlier;
  KW_TRY(const auto records, archive.verdicts_of_subject(subject));
  std::set<std::string> doubtful;
  std::map<std::string, const archive::VerdictRecord*> timed;
  for (const auto& record : records) {
    earlier.outcomes[record.program] = outcome_of(record);
    ++earlier.verdicts[referee::verdict_name(record.verdict.kind)];
    if (!record.verdict.correct()) doubtful.insert(record.program);
    if (!record.verdict.correct() || !record.verdict.timing) continue;
    timed[record.program] = &record;
    if (record.predicted_s > 0)
      earlier.predicted_measured.emplace_back(record.predicted_s, record.verdict.timing->ms / 1e3);
  }
  std::vector<const archive::VerdictRecord*> order;
  for (const auto& [id, record] : timed)
    if (!doubtful.count(id)) order.push_back(record);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->verdict.timing->ms < b->verdict.timing->ms;
  });
  if (order.size() > keep) order.resize(keep);
  for (const auto* record : order) {
    Earlier::Right right;
    KW_TRY(right.proposal.candidate, archive.load(record->program));
    right.proposal.proposer = record->proposer;
    right.proposal.idea = record->idea;
    right.proposal.parent = record->parent;
    right.proposal.predicted_s = record->predicted_s;
    right.ms = record->verdict.timing->ms;
    earlier.right.push_back(std::move(right));
  }
  return earlier;
}

std::optional<program::Proposal> left_program(const fs::path& partial, const fs::path& out,
                                              const std::string& region) {
  for (const fs::path& place : {partial / "best" / region, out / "programs" / region}) {
    auto candidate = program::read_candidate(place);
    if (!candidate) continue;
    program::Proposal proposal;
    proposal.candidate = std::move(*candidate);
    proposal.proposer = "expert";
    proposal.idea = "of the run that is resumed";
    return proposal;
  }
  return std::nullopt;
}

}  // namespace kernelwright::search

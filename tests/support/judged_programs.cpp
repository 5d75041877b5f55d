// SPDX-License-Identifier: Apache-2.0
#include "support/judged_programs.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/small_ops.h"
#include "target/target.h"

namespace kernelwright::tests {

namespace fs = std::filesystem;

std::vector<std::string> judged_program_names(const std::string& label) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(fs::path(KW_SOURCE_DIR) / "tests" / label)) {
    // Folders without a verdict to expect are another target's.
    if (fs::exists(entry.path() / "expect.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

JudgedProgram read_judged_program(const std::string& label, const std::string& name) {
  JudgedProgram program;
  program.name = name;
  program.folder = fs::path(KW_SOURCE_DIR) / "tests" / label / name;
  const auto text = base::read_file(program.folder / "expect.json");
  if (!text) throw std::runtime_error(text.error().text());
  const auto expect = nlohmann::json::parse(*text);
  program.op = expect.at("op").get<std::string>();
  program.verdicts = expect.at("verdicts").get<std::vector<std::string>>();
  program.reason = expect.value("reason", "");
  program.promote = expect.value("promote", false);
  program.deadline_s = expect.value("deadline_s", program.deadline_s);
  program.memory_bytes = expect.value("memory_bytes", program.memory_bytes);
  program.threads = expect.value("threads", program.threads);
  program.baseline_ms = expect.value("baseline_ms", program.baseline_ms);
  program.speed_of_light_s = expect.value("speed_of_light_s", program.speed_of_light_s);
  return program;
}

Result<referee::Verdict> judge_program(const JudgedProgram& program) {
  auto candidate = program::read_candidate(program.folder);
  if (!candidate) {
    referee::Verdict verdict;
    verdict.kind = referee::VerdictKind::kRefused;
    verdict.reason = candidate.error().text();
    return verdict;
  }
  KW_TRY(auto target, target::open_target("cpu"));
  const SmallOp& op = small_op(program.op);
  referee::Subject subject;
  subject.region = "whole";
  subject.interface = op.interface;
  referee::RefereeOptions options;
  options.threads = program.threads;
  options.deadline_s = program.deadline_s;
  options.memory_bytes = program.memory_bytes;
  options.search_time_s = 0.02;
  options.promotion_time_s = 0.05;
  options.flush_bytes = 1 << 20;
  options.speed_of_light_s = program.speed_of_light_s;
  options.bench_worker = std::string(KW_BINARY_DIR) + "/bin/kernelwright";
  KW_TRY(auto referee, referee::Referee::open_with(
                           subject, *target, small_op_source(op, program.baseline_ms), options));
  std::vector<program::Candidate> batch;
  batch.push_back(std::move(*candidate));
  KW_TRY(auto prepared, referee->prepare(std::move(batch)));
  KW_TRY(auto verdict, referee->judge(prepared.at(0), nullptr));
  if (program.promote && verdict.correct()) return referee->promote(prepared.at(0));
  return verdict;
}

std::string unexpected(const JudgedProgram& program, const Result<referee::Verdict>& verdict) {
  if (!verdict) return "no verdict: " + verdict.error().text();
  const std::string got = referee::verdict_name(verdict->kind);
  const bool right =
      std::find(program.verdicts.begin(), program.verdicts.end(), got) != program.verdicts.end();
  if (right && verdict->reason.find(program.reason) != std::string::npos) return "";
  return fmt::format("got {} ({}), expected {} with '{}'\n{}", got, verdict->reason,
                     fmt::join(program.verdicts, " or "), program.reason, verdict->detail);
}

}  // namespace kernelwright::tests

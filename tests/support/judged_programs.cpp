// SPDX-License-Identifier: Apache-2.0
#include "support/judged_programs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/small_ops.h"
#include "target/target.h"

namespace kernelwright::tests {

namespace fs = std::filesystem;

namespace {

// On another machine than the one that built the tests.
std::string place(const char* variable, const char* otherwise) {
  const char* value = std::getenv(variable);
  return value && *value ? value : otherwise;
}

fs::path folder_of(const std::string& label) {
  return fs::path(place("KERNELWRIGHT_SOURCE_DIR", KW_SOURCE_DIR)) / "tests" / label;
}

struct Opened {
  std::unique_ptr<target::Target> target;
  std::unique_ptr<referee::Referee> referee;
  std::vector<referee::Prepared> prepared;
};

Result<Opened> open_program(const JudgedProgram& program, program::Candidate candidate) {
  Opened opened;
  KW_TRY(opened.target, target::open_target(program.target));
  const SmallOp& op = small_op(program.op);
  referee::Subject subject;
  subject.region = "whole";
  subject.interface = op.interface;
  referee::RefereeOptions options;
  options.threads = program.threads;
  options.deadline_s = program.deadline_s;
  options.memory_bytes = program.memory_bytes;
  options.search_time_s = program.time_s;
  options.promotion_time_s = 0.05;
  if (program.target == "cpu") options.flush_bytes = 1 << 20;
  options.speed_of_light_s = program.speed_of_light_s;
  options.bench_worker =
      place("KERNELWRIGHT", (std::string(KW_BINARY_DIR) + "/bin/kernelwright").c_str());
  KW_TRY(opened.referee,
         referee::Referee::open_with(subject, *opened.target,
                                     small_op_source(op, program.baseline_ms), options));
  std::vector<program::Candidate> batch;
  batch.push_back(std::move(candidate));
  KW_TRY(opened.prepared, opened.referee->prepare(std::move(batch)));
  return opened;
}

}  // namespace

std::vector<std::string> judged_program_names(const std::string& label) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_of(label))) {
    // Folders without a verdict to expect are another target's.
    if (fs::exists(entry.path() / "expect.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

JudgedProgram read_judged_program(const std::string& label, const std::string& name) {
  JudgedProgram program;
  program.name = name;
  program.folder = folder_of(label) / name;
  if (label.find("cuda") != std::string::npos) program.target = "cuda";
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
  KW_TRY(Opened opened, open_program(program, std::move(*candidate)));
  KW_TRY(auto verdict, opened.referee->judge(opened.prepared.at(0), nullptr));
  if (program.promote && verdict.correct()) return opened.referee->promote(opened.prepared.at(0));
  return verdict;
}

Result<std::vector<referee::Verdict>> judge_against_itself(JudgedProgram program, int runs) {
  program.time_s = 0.4;
  KW_TRY(program::Candidate candidate, program::read_candidate(program.folder));
  KW_TRY(Opened opened, open_program(program, std::move(candidate)));
  std::vector<referee::Verdict> verdicts;
  for (int run = 0; run < runs; ++run) {
    KW_TRY(auto verdict, opened.referee->judge(opened.prepared.at(0), &opened.prepared.at(0)));
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
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

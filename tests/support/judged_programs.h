// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "referee/referee.h"

namespace kernelwright::tests {

// A program on disk with the verdict that it must get: <folder>/{program.json, kernels.cpp,
// expect.json}. expect.json: {"op": small op, "verdicts": [one of], "reason": part of the reason,
// "promote": bool, "deadline_s": ..., "memory_bytes": ..., "threads": ..., "baseline_ms": ...,
// "speed_of_light_s": ...}; all but "op" and "verdicts" may be left out.
struct JudgedProgram {
  std::string name;
  std::filesystem::path folder;
  std::string op;
  std::vector<std::string> verdicts;
  std::string reason;
  bool promote = false;
  double deadline_s = 20;
  uint64_t memory_bytes = 1ull << 30;
  int threads = 2;
  double baseline_ms = 1000;
  double speed_of_light_s = 0;
  std::string target = "cpu";  // "cuda" below the labels .../cuda*
  double time_s = 0.02;        // of a search timing
};

// Names of the folders below tests/<label>, for parameterized tests.
std::vector<std::string> judged_program_names(const std::string& label);
JudgedProgram read_judged_program(const std::string& label, const std::string& name);

// Judges it through a real build and a real bench worker.
Result<referee::Verdict> judge_program(const JudgedProgram& program);
// Judges it `runs` times with itself as the incumbent: none of these should be called faster.
Result<std::vector<referee::Verdict>> judge_against_itself(JudgedProgram program, int runs);
// Empty when the verdict is an expected one, else what is off.
std::string unexpected(const JudgedProgram& program, const Result<referee::Verdict>& verdict);

}  // namespace kernelwright::tests

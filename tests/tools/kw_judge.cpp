// SPDX-License-Identifier: Apache-2.0
// Judges the programs below tests/<label> that have an expect.json, without PyTorch, and prints a
// table; or judges one against itself many times. For machines with a GPU: scripts/test-cuda.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "support/judged_programs.h"

namespace {

using namespace kernelwright;
using Clock = std::chrono::steady_clock;

constexpr char kUsage[] =
    "usage: kw_judge LABEL [NAME...]      judge tests/LABEL/NAME (all without names)\n"
    "       kw_judge --against-itself LABEL NAME RUNS MOST\n"
    "The bench worker is $KERNELWRIGHT, the tests are below $KERNELWRIGHT_SOURCE_DIR.\n";

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int judge_all(const std::string& label, std::vector<std::string> names) {
  if (names.empty()) names = tests::judged_program_names(label);
  int wrong = 0;
  const auto began = Clock::now();
  for (const std::string& name : names) {
    const auto start = Clock::now();
    const tests::JudgedProgram program = tests::read_judged_program(label, name);
    const auto verdict = tests::judge_program(program);
    const std::string off = tests::unexpected(program, verdict);
    wrong += off.empty() ? 0 : 1;
    const std::string got = verdict ? referee::verdict_name(verdict->kind) : "no verdict";
    const std::string reason = verdict ? verdict->reason : verdict.error().text();
    fmt::print("{:4} {:24} {:12} {:5.1f} s  {}\n", off.empty() ? "ok" : "FAIL", name, got,
               seconds_since(start), off.empty() ? reason.substr(0, 100) : off);
    std::fflush(stdout);
  }
  fmt::print("{}: {} of {} as expected, {:.0f} s\n", label,
             names.size() - static_cast<size_t>(wrong), names.size(), seconds_since(began));
  return wrong == 0 ? 0 : 1;
}

int judge_against_itself(const std::string& label, const std::string& name, int runs, int most) {
  const auto began = Clock::now();
  auto verdicts = tests::judge_against_itself(tests::read_judged_program(label, name), runs);
  if (!verdicts) {
    fmt::print("FAIL {}\n", verdicts.error().text());
    return 1;
  }
  int faster = 0, other = 0;
  double rounds = 0, ms = 0, latency = 0;
  std::string example;
  for (const referee::Verdict& verdict : *verdicts) {
    faster += verdict.kind == referee::VerdictKind::kAccepted;
    if (!verdict.correct()) {
      ++other;
      example = verdict.reason;
    }
    if (!verdict.timing) continue;
    rounds += verdict.timing->rounds;
    ms += verdict.timing->ms;
    latency += verdict.timing->latency_ms;
  }
  const auto count = static_cast<double>(verdicts->size());
  const bool ok = faster <= most && other == 0;
  fmt::print(
      "{:4} {} against itself: faster in {} of {} runs (at most {}), {:.0f} rounds, {:.4f} ms, "
      "{:.4f} ms with the launch, {:.2f} s a verdict{}\n",
      ok ? "ok" : "FAIL", name, faster, verdicts->size(), most, rounds / count, ms / count,
      latency / count, seconds_since(began) / count,
      other > 0 ? fmt::format("; {} not right: {}", other, example) : "");
  if (!verdicts->empty() && verdicts->back().conditions) {
    const auto& seen = *verdicts->back().conditions;
    fmt::print("     clocks {} and {} MHz; throttled: {}; others: {}\n", seen.core_mhz,
               seen.memory_mhz, seen.throttled.empty() ? "no" : seen.throttled,
               seen.busy.empty() ? "none" : seen.busy);
  }
  return ok ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 5 && words[0] == "--against-itself")
      return judge_against_itself(words[1], words[2], std::atoi(words[3].c_str()),
                                  std::atoi(words[4].c_str()));
    if (!words.empty() && words[0][0] != '-')
      return judge_all(words[0], {words.begin() + 1, words.end()});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "kw_judge: %s\n", e.what());
    return 2;
  }
  std::fputs(kUsage, stderr);
  return 2;
}

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "program/step_profile.h"
#include "target/resources.h"

namespace kernelwright::referee {

enum class VerdictKind {
  kBuildFailed,
  kRefused,
  kCrashed,
  kTimedOut,
  kWrong,
  kCheated,
  kSlower,
  kAccepted
};
const char* verdict_name(VerdictKind kind);  // "build_failed", ...
std::optional<VerdictKind> verdict_from_name(const std::string& name);

// Search verdicts steer; only a promotion may call anything best. docs/referee.md.
enum class Tier { kSearch, kPromotion };

// Error in units of the problem's own rounding noise (docs/numerics.md), worst over all draws.
struct ErrorFigures {
  double rho_rms = 0;
  double rho_max = 0;
  double relative = 0;    // ||p - o|| / ||o||
  bool allclose = false;  // KernelBench's own test, reported beside
};

// Paired comparison of two contenders; ratio = reference time / candidate time, so above 1 is
// faster.
struct Timing {
  double ms = 0;            // candidate, median
  double spread = 0;        // (p90 - p10) / median of the candidate
  double reference_ms = 0;  // incumbent or baseline, median
  std::string reference;    // "eager", "compile", or the incumbent's id
  double speedup = 1, speedup_low = 1, speedup_high = 1;  // median of paired ratios, 95 % bounds
  double latency_ms = 0;                                  // launch included
  double reference_latency_ms = 0;                        // likewise
  int rounds = 0;
};

// Clocks of a device during a timing, and what held it back.
struct Conditions {
  int core_mhz = 0, memory_mhz = 0;  // 0: not known
  std::string throttled;             // "power cap, thermal"; empty: not at all, or not known
  std::string busy;                  // who else used the device; empty: nobody known
};

struct Verdict {
  VerdictKind kind = VerdictKind::kBuildFailed;
  Tier tier = Tier::kSearch;
  std::string reason;  // one line: what the next proposer needs
  std::string detail;  // more lines: compiler message, first wrong elements
  std::optional<ErrorFigures> candidate_error;
  std::optional<ErrorFigures> eager_error;
  std::optional<Timing> timing;          // against the reference of the tier
  std::vector<Timing> baselines;         // promotion: every baseline
  std::optional<Conditions> conditions;  // of a GPU, during the timing
  double prepare_ms = 0;
  double build_s = 0;
  std::vector<target::KernelResources> kernels;  // what the compiler made of each; GPU
  // Of a program judged alone, of one that took the best's place, and at promotion.
  std::vector<program::StepProfile> steps;
  int draws = 0;
  bool correct() const { return kind == VerdictKind::kSlower || kind == VerdictKind::kAccepted; }
};

// Stands in the reason of a `wrong` that is close everywhere: a matter of rounding.
inline constexpr std::string_view kPrecision = "precision: ";
bool is_imprecise(const Verdict& verdict);

nlohmann::json verdict_json(const Verdict& verdict);
Result<Verdict> parse_verdict(const nlohmann::json& json);

}  // namespace kernelwright::referee

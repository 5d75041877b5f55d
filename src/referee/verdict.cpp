// SPDX-License-Identifier: Apache-2.0
#include "referee/verdict.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace kernelwright::referee {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 8> kNames = {"build_failed", "refused", "crashed", "timed_out",
                                               "wrong",        "cheated", "slower",  "accepted"};

// JSON has no infinity: an error beyond measure is written as null.
json number(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

double number_from(const json& object, const char* key, double fallback = 0) {
  auto it = object.find(key);
  if (it == object.end()) return fallback;
  if (it->is_null()) return INFINITY;
  return it->get<double>();
}

json error_json(const ErrorFigures& error) {
  return {{"rho_rms", number(error.rho_rms)},
          {"rho_max", number(error.rho_max)},
          {"relative", number(error.relative)},
          {"allclose", error.allclose}};
}

ErrorFigures error_from(const json& object) {
  ErrorFigures error;
  error.rho_rms = number_from(object, "rho_rms");
  error.rho_max = number_from(object, "rho_max");
  error.relative = number_from(object, "relative");
  error.allclose = object.value("allclose", false);
  return error;
}

json timing_json(const Timing& timing) {
  return {{"ms", number(timing.ms)},
          {"spread", number(timing.spread)},
          {"reference_ms", number(timing.reference_ms)},
          {"reference", timing.reference},
          {"speedup", number(timing.speedup)},
          {"speedup_low", number(timing.speedup_low)},
          {"speedup_high", number(timing.speedup_high)},
          {"latency_ms", number(timing.latency_ms)},
          {"reference_latency_ms", number(timing.reference_latency_ms)},
          {"rounds", timing.rounds}};
}

Timing timing_from(const json& object) {
  Timing timing;
  timing.ms = number_from(object, "ms");
  timing.spread = number_from(object, "spread");
  timing.reference_ms = number_from(object, "reference_ms");
  timing.reference = object.value("reference", "");
  timing.speedup = number_from(object, "speedup", 1);
  timing.speedup_low = number_from(object, "speedup_low", 1);
  timing.speedup_high = number_from(object, "speedup_high", 1);
  timing.latency_ms = number_from(object, "latency_ms");
  timing.reference_latency_ms = number_from(object, "reference_latency_ms", timing.reference_ms);
  timing.rounds = object.value("rounds", 0);
  return timing;
}

}  // namespace

const char* verdict_name(VerdictKind kind) {
  return kNames.at(static_cast<size_t>(kind));
}

std::optional<VerdictKind> verdict_from_name(const std::string& name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<VerdictKind>(i);
  }
  return std::nullopt;
}

bool is_imprecise(const Verdict& verdict) {
  return verdict.kind == VerdictKind::kWrong &&
         verdict.reason.find(kPrecision) != std::string::npos;
}

nlohmann::json verdict_json(const Verdict& verdict) {
  json out = {{"verdict", verdict_name(verdict.kind)},
              {"tier", verdict.tier == Tier::kSearch ? "search" : "promotion"},
              {"reason", verdict.reason},
              {"detail", verdict.detail},
              {"prepare_ms", number(verdict.prepare_ms)},
              {"build_s", number(verdict.build_s)},
              {"draws", verdict.draws}};
  if (verdict.candidate_error) out["error"]["candidate"] = error_json(*verdict.candidate_error);
  if (verdict.eager_error) out["error"]["eager"] = error_json(*verdict.eager_error);
  if (verdict.timing) out["timing"] = timing_json(*verdict.timing);
  if (!verdict.kernels.empty())
    out["kernels"] = json::parse(target::resources_json(verdict.kernels));
  for (const auto& step : verdict.steps) out["steps"].push_back(program::step_profile_json(step));
  if (verdict.conditions) {
    out["conditions"] = {{"core_mhz", verdict.conditions->core_mhz},
                         {"memory_mhz", verdict.conditions->memory_mhz},
                         {"throttled", verdict.conditions->throttled},
                         {"busy", verdict.conditions->busy}};
  }
  if (!verdict.baselines.empty()) {
    out["baselines"] = json::array();
    for (const Timing& timing : verdict.baselines) out["baselines"].push_back(timing_json(timing));
  }
  return out;
}

Result<Verdict> parse_verdict(const nlohmann::json& value) {
  try {
    Verdict verdict;
    const std::string name = value.at("verdict").get<std::string>();
    const auto kind = verdict_from_name(name);
    if (!kind) return fail(ErrorKind::kInput, "unknown verdict '" + name.substr(0, 40) + "'");
    verdict.kind = *kind;
    const std::string tier = value.value("tier", "search");
    if (tier != "search" && tier != "promotion") {
      return fail(ErrorKind::kInput, "unknown tier '" + tier.substr(0, 40) + "'");
    }
    verdict.tier = tier == "search" ? Tier::kSearch : Tier::kPromotion;
    verdict.reason = value.value("reason", "");
    verdict.detail = value.value("detail", "");
    verdict.prepare_ms = number_from(value, "prepare_ms");
    verdict.build_s = number_from(value, "build_s");
    verdict.draws = value.value("draws", 0);
    if (auto error = value.find("error"); error != value.end()) {
      if (error->contains("candidate"))
        verdict.candidate_error = error_from(error->at("candidate"));
      if (error->contains("eager")) verdict.eager_error = error_from(error->at("eager"));
    }
    if (auto timing = value.find("timing"); timing != value.end())
      verdict.timing = timing_from(*timing);
    if (auto kernels = value.find("kernels"); kernels != value.end())
      verdict.kernels = target::parse_resources(kernels->dump());
    if (auto steps = value.find("steps"); steps != value.end()) {
      for (const json& step : *steps) verdict.steps.push_back(program::parse_step_profile(step));
    }
    if (auto seen = value.find("conditions"); seen != value.end())
      verdict.conditions = Conditions{seen->value("core_mhz", 0), seen->value("memory_mhz", 0),
                                      seen->value("throttled", ""), seen->value("busy", "")};
    if (auto all = value.find("baselines"); all != value.end()) {
      for (const json& timing : *all) verdict.baselines.push_back(timing_from(timing));
    }
    return verdict;
  } catch (const json::exception& e) {
    return fail(ErrorKind::kInput, std::string("malformed verdict: ") + e.what());
  }
}

}  // namespace kernelwright::referee

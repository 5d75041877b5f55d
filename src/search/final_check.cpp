// SPDX-License-Identifier: Apache-2.0
#include "search/final_check.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "base/processor_use.h"
#include "referee/compare.h"
#include "referee/statistics.h"
#include "target/cold_cache.h"

namespace kernelwright::search {
namespace {

constexpr double kAlpha = 0.05;
constexpr int kDraws = 2;  // fresh draws of the workload's own generator

void keep_worst(referee::ErrorFigures& worst, const referee::ErrorFigures& figures, bool first) {
  worst.rho_rms = std::max(worst.rho_rms, figures.rho_rms);
  worst.rho_max = std::max(worst.rho_max, figures.rho_max);
  worst.relative = std::max(worst.relative, figures.relative);
  worst.allclose = figures.allclose && (first || worst.allclose);
}

// Judges the drop-in's outputs on one draw; false when it is wrong.
Result<bool> check_draw(torch::Worker& dropin, const torch::Draw& draw, FinalCheck& check,
                        bool first) {
  auto ran = dropin.run_artifact(draw);
  if (!ran) {
    check.reason = "the drop-in does not run: " + ran.error().text();
    return false;
  }
  const torch::ArtifactOutputs& outputs = *ran;
  if (outputs.offsets.size() != draw.answers.size())
    return fail(ErrorKind::kInternal, "the drop-in gave another number of outputs than the module");
  for (size_t i = 0; i < draw.answers.size(); ++i) {
    const auto& expected = draw.answers[i];
    const auto array = [&](const torch::Draw::Tensor& tensor) {
      return draw.expected.data() + tensor.offset;
    };
    referee::Answer answer;
    answer.type = expected.eager.type;
    answer.eager = array(expected.eager);
    answer.oracle = reinterpret_cast<const double*>(array(expected.oracle));
    answer.scale = reinterpret_cast<const double*>(array(expected.scale));
    answer.mask = reinterpret_cast<const uint8_t*>(array(expected.mask));
    answer.exact_draw = draw.exact;
    answer.exact_bits = expected.exact_bits;
    answer.index_output = expected.index_output;
    const auto comparison = referee::compare(outputs.memory.data() + outputs.offsets[i], answer,
                                             referee::measure(answer.eager, answer));
    keep_worst(check.candidate_error, comparison.candidate, first && i == 0);
    keep_worst(check.eager_error, comparison.eager, first && i == 0);
    if (!comparison.accepted) {
      check.reason = comparison.reason;
      return false;
    }
  }
  return true;
}

std::vector<double> paired_ratios(const std::vector<double>& reference,
                                  const std::vector<double>& candidate) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(reference.size(), candidate.size()); ++i)
    if (candidate[i] > 0) ratios.push_back(reference[i] / candidate[i]);
  return ratios;
}

Status take_times(const torch::Worker::ArtifactTimes& times, FinalCheck& check) {
  const auto original = times.ms.find("original");
  const auto dropin = times.ms.find("dropin");
  if (original == times.ms.end() || dropin == times.ms.end() || dropin->second.empty())
    return fail(ErrorKind::kInternal, "the final check gave no times");
  check.baseline.eager_ms = referee::median(original->second);
  check.baseline.best_ms = check.baseline.eager_ms;
  check.baseline.best_name = "eager";
  const auto interval_against = [&](const std::vector<double>& reference) {
    return referee::median_interval(paired_ratios(reference, dropin->second), kAlpha);
  };
  const auto compare = [&](const std::string& name, const std::vector<double>& samples) {
    const auto against = interval_against(samples);
    check.comparisons.push_back(
        {name, referee::median(samples), against.median, against.low, against.high});
  };
  compare("eager", original->second);
  const std::vector<double>* reference = &original->second;
  for (const auto& [name, samples] : times.ms) {
    if (name == "original" || name == "dropin" || samples.empty()) continue;
    const double ms = referee::median(samples);
    compare(name, samples);
    if (name == "compile") check.baseline.compile_ms = ms;
    if (ms >= check.baseline.best_ms) continue;
    check.baseline.best_ms = ms;
    check.baseline.best_name = name;
    reference = &samples;
  }
  if (!times.memory_ms.empty()) check.memory_ms = referee::median(times.memory_ms);
  const auto interval = interval_against(*reference);
  check.best.ms = check.best.latency_ms = referee::median(dropin->second);
  if (const auto latency = times.latency_ms.find("dropin");
      latency != times.latency_ms.end() && !latency->second.empty())
    check.best.latency_ms = referee::median(latency->second);
  check.best.speedup = interval.median;
  check.best.speedup_low = interval.low;
  check.best.speedup_high = interval.high;
  return {};
}

}  // namespace

size_t flush_bytes(const Session& session) {
  return target::flush_bytes(session.target->kind(), session.model.last_level_cache_bytes());
}

Result<FinalCheck> check_artifact(Session& session, const std::filesystem::path& artifact,
                                  const torch::WorkloadSpec& spec,
                                  const FinalCheckOptions& options) {
  base::progress("final check", "the drop-in against the original, in one process");
  torch::WorkerOptions worker_options;
  worker_options.threads = session.threads;
  worker_options.log_path = session.work_dir / "dropin.log";
  KW_TRY(torch::Worker dropin, torch::Worker::start(worker_options));
  auto opened = dropin.open_artifact(artifact, spec);
  FinalCheck check;
  if (!opened) {
    check.right = false;
    check.reason = "the drop-in does not load: " + opened.error().text();
    return check;
  }
  check.prepare_ms = opened->prepare_ms;
  for (int i = 0; i < kDraws; ++i) {
    KW_TRY(auto draw, session.torch->draw("whole", torch::DrawKind::kOwn,
                                          options.seed + static_cast<uint64_t>(i)));
    if (!draw) {
      check.right = false;
      check.reason = "the module as a whole cannot be compared: " + session.torch->why_skipped();
      return check;
    }
    KW_TRY(check.right, check_draw(dropin, *draw, check, i == 0));
    if (!check.right) return check;
  }
  const size_t flush = flush_bytes(session);
  const auto use_before = base::processor_use();
  KW_TRY(auto warm, dropin.time_artifact(options.timing_s, flush, false, options.with_compile,
                                         options.traffic));
  check.others_share = base::others_share(use_before, base::processor_use());
  if (check.disturbed())
    base::warn(fmt::format(
        "other programs used {:.0f} % of the processors while the drop-in was timed: its figures "
        "may be off",
        100 * check.others_share));
  KW_CHECK_OK(take_times(warm, check));
  KW_TRY(auto fresh, dropin.time_artifact(options.fresh_timing_s, flush, true, false));
  if (!fresh.ms["original"].empty() && !fresh.ms["dropin"].empty()) {
    check.fresh.original_ms = referee::median(fresh.ms["original"]);
    check.fresh.dropin_ms = referee::median(fresh.ms["dropin"]);
    check.fresh.speedup = referee::median(paired_ratios(fresh.ms["original"], fresh.ms["dropin"]));
  }
  dropin.stop();
  return check;
}

}  // namespace kernelwright::search

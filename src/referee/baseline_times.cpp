// SPDX-License-Identifier: Apache-2.0
#include "referee/baseline_times.h"

#include <fmt/format.h>

#include <chrono>

#include "referee/statistics.h"

namespace kernelwright::referee {

using Clock = std::chrono::steady_clock;

Result<std::vector<std::string>> BaselineTimes::ready() {
  if (ready_) return *ready_;
  std::vector<std::string> names;
  for (const char* name : {"eager", "compile"}) {
    KW_TRY(auto ready, source_.prepare_baseline(name));
    if (ready.available) {
      names.emplace_back(name);
    } else {
      notes_.push_back(fmt::format("{}: {}", name, ready.note));
    }
  }
  if (names.empty()) return fail(ErrorKind::kEnvironment, "no baseline runs here");
  ready_ = names;
  return names;
}

const Baselines& BaselineTimes::keep(const std::vector<Timing>& timings) {
  Baselines baselines;
  baselines.notes = notes_;
  for (const Timing& timing : timings) {
    baselines.ms.emplace_back(timing.reference, timing.reference_ms);
    if (baselines.best_name.empty() || timing.reference_ms < baselines.best_ms) {
      baselines.best_name = timing.reference;
      baselines.best_ms = timing.reference_ms;
    }
  }
  known_ = std::move(baselines);
  return *known_;
}

Result<Baselines> BaselineTimes::measured() {
  if (known_) return *known_;
  KW_TRY(std::vector<std::string> names, ready());
  std::vector<std::vector<double>> ms(names.size());
  const auto began = Clock::now();
  for (const std::string& name : names) {
    KW_TRY(auto warm, source_.time_baseline(name, 2, options_.flush_bytes));
    static_cast<void>(warm);
  }
  for (int round = 0; round < 12 && (round < 3 || Clock::now() < began + std::chrono::seconds(3));
       ++round) {
    for (size_t i = 0; i < names.size(); ++i) {
      KW_TRY(const torch::Samples times, source_.time_baseline(names[i], 2, options_.flush_bytes));
      ms[i].insert(ms[i].end(), times.ms.begin(), times.ms.end());
    }
  }
  std::vector<Timing> timings(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    timings[i].reference = names[i];
    timings[i].reference_ms = median(ms[i]);
  }
  return keep(timings);
}

}  // namespace kernelwright::referee

// SPDX-License-Identifier: Apache-2.0
#include "referee/timing.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "base/elapsed.h"
#include "referee/tolerance.h"

namespace kernelwright::referee {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kAuditAttempts = 8;
constexpr size_t kStepCalls = 5;
// OpenMP's workers of a baseline that was just timed spin on for up to 23 ms (docs/results-cpu.md).
constexpr double kOthersSpinMs = 40;
constexpr size_t kMostSteps = 256;

// Claimed times are inside the worker, so their sum can never exceed what we saw from outside.
std::optional<Trouble> claims_too_much(double claimed_ms, double wall_ms) {
  if (claimed_ms <= wall_ms * 1.02 + 0.5) return std::nullopt;
  return Trouble{
      VerdictKind::kCheated,
      fmt::format("claims {:.3f} ms of calls within {:.3f} ms of our clock", claimed_ms, wall_ms),
      {}};
}

// One batch of a worker, with its claims checked and the last outputs of the first contender
// verified; an incumbent has been judged before.
struct Batch {
  std::vector<std::vector<double>> ms;  // per contender
  std::vector<double> latency_ms;
};
Reply<Batch> run_batch(Session& session, const std::vector<JudgedProgram*>& contenders,
                       const std::vector<const BankDraw*>& draws, int rounds, int start) {
  bench::Time request;
  request.rounds = rounds;
  request.start = start;
  for (JudgedProgram* program : contenders) {
    auto& bindings = request.contenders.emplace_back();
    for (const BankDraw* draw : draws) {
      auto binding = program->binding(*draw);
      if (!binding) return tl::unexpected(binding.error());
      bindings.push_back(*binding);
    }
    KW_CHECK_OK(program->poison_outputs(0xff));
  }
  auto timed = session.client().time(request);
  if (!timed) return tl::unexpected(timed.error());
  double claimed = 0;
  for (const auto& times : timed->ms) {
    for (double ms : times) claimed += ms;
  }
  if (auto trouble = claims_too_much(claimed, session.client().wall_ms()))
    return tl::unexpected(*trouble);
  const size_t last = static_cast<size_t>(start + rounds - 1) % draws.size();
  if (auto left = contenders[0]->verify_left(*draws[last]); !left)
    return tl::unexpected(left.error());
  return Batch{std::move(timed->ms), std::move(timed->latency_ms)};
}

// A cold call is never much faster than a warm one, and warm calls back to back fill a span that
// our own clock bounds: whoever shortens the claimed times falls short of that. A busy machine only
// ever lengthens the span: what threads waited for a processor is taken off, and the shortest of a
// few counts. What launching alone costs on a GPU is allowed for.
Reply<void> audit(Session& session, JudgedProgram& program, const BankDraw& draw, double claimed_ms,
                  double launch_allowance_ms) {
  KW_TRY(const int binding, program.binding(draw));
  const int calls = static_cast<int>(std::clamp(2.0 / std::max(claimed_ms, 1e-4), 1.0, 2000.0));
  double shortest = 0;
  for (int attempt = 0; attempt < kAuditAttempts; ++attempt) {
    KW_CHECK_OK(program.poison_outputs(0xff));
    const double waited_before = session.client().waited_ms();
    KW_TRY(const bench::Repeated repeated, session.client().repeat({binding, calls}));
    const double wall = session.client().wall_ms();
    const double waited = session.client().waited_ms() - waited_before;
    KW_CHECK_OK(program.verify_left(draw));
    if (auto trouble = claims_too_much(repeated.ms, wall)) return tl::unexpected(*trouble);
    const double span = wall - waited;
    shortest = attempt == 0 ? span : std::min(shortest, span);
    // Messages and scheduling cost us up to a millisecond or two that are not the candidate's.
    if (claimed_ms + launch_allowance_ms >= kTolerances.audit_share * (shortest - 2.0) / calls)
      return {};
  }
  return tl::unexpected(
      Trouble{VerdictKind::kCheated,
              fmt::format("claims {:.4f} ms a call, but {} calls took {:.2f} ms by our clock",
                          claimed_ms, calls, shortest),
              {}});
}

std::optional<Trouble> too_fast(double ms, const TimingOptions& options) {
  const double light_ms = options.speed_of_light_s * 1e3;
  if (light_ms <= 0 || ms >= light_ms * kTolerances.light_share) return std::nullopt;
  return Trouble{VerdictKind::kCheated,
                 fmt::format("{:.4f} ms is faster than this machine can be ({:.4f} ms): a cheat, "
                             "or a fault of the referee",
                             ms, light_ms),
                 {}};
}

// Medians of one step over some calls.
program::StepProfile step_of(const std::string& name, const std::vector<bench::Profiled>& samples,
                             size_t step) {
  constexpr std::pair<int64_t kw_counts::*, std::optional<double> program::StepProfile::*>
      kFigures[] = {{&kw_counts::cycles, &program::StepProfile::cycles},
                    {&kw_counts::instructions, &program::StepProfile::instructions},
                    {&kw_counts::cache_misses, &program::StepProfile::cache_misses},
                    {&kw_counts::tlb_misses, &program::StepProfile::tlb_misses},
                    {&kw_counts::page_faults, &program::StepProfile::page_faults}};
  const auto middle = [&](const auto& figure_of) {
    std::vector<double> figures;
    for (const bench::Profiled& sample : samples) figures.push_back(figure_of(sample));
    return median(std::move(figures));
  };
  program::StepProfile profile;
  profile.step = name;
  profile.ms = middle([&](const bench::Profiled& sample) { return sample.ms[step]; });
  for (const auto& [counted, figure] : kFigures) {
    const double count = middle([&, counted = counted](const bench::Profiled& sample) {
      return static_cast<double>(sample.counts[step].*counted);
    });
    if (count >= 0) profile.*figure = count;
  }
  return profile;
}

}  // namespace

Timing summarize(const PairedComparison& comparison, const std::string& reference) {
  Timing timing;
  timing.ms = median(comparison.candidate());
  timing.latency_ms = timing.ms;
  timing.spread = relative_spread(comparison.candidate());
  timing.reference_ms = timing.reference_latency_ms = median(comparison.reference());
  timing.reference = reference;
  timing.speedup = comparison.interval().median;
  timing.speedup_low = comparison.interval().low;
  timing.speedup_high = comparison.interval().high;
  timing.rounds = comparison.rounds();
  return timing;
}

Reply<Timing> time_in_worker(Session& session, JudgedProgram& candidate, JudgedProgram* incumbent,
                             const std::vector<const BankDraw*>& draws,
                             const TimingOptions& options, uint64_t random) {
  std::vector<JudgedProgram*> contenders = {&candidate};
  if (incumbent) contenders.push_back(incumbent);
  std::mt19937_64 generator(random);
  int start = static_cast<int>(generator() % 64);
  const auto began = Clock::now();

  auto warm = run_batch(session, contenders, draws, 2, start);
  if (!warm) return tl::unexpected(warm.error());
  start += 2;
  const double round_s = base::seconds_since(began) / 2;
  Timing timing;
  std::vector<double> latency_ms, reference_latency_ms;
  auto keep_latency = [&](const Batch& batch) {
    latency_ms.push_back(batch.latency_ms[0]);
    if (incumbent) reference_latency_ms.push_back(batch.latency_ms[1]);
  };
  keep_latency(*warm);
  if (incumbent) {
    PairedComparison comparison(plan_looks(round_s, options.bound_s));
    const StopRule stop = any_of({stop_when_decided(kTolerances.noticeable),
                                  stop_when_precise(0.005), stop_after(options.bound_s)});
    const auto& first = warm->ms;
    // Clearly slower in both warm-up rounds: not worth a comparison.
    const bool hopeless = first[0][0] > 2 * first[1][0] && first[0][1] > 2 * first[1][1];
    if (hopeless) {
      for (size_t i = 0; i < 2; ++i) comparison.add(first[1][i], first[0][i]);
      timing = summarize(comparison, "");
      timing.speedup = median({first[1][0] / first[0][0], first[1][1] / first[0][1]});
      timing.speedup_low = 0;
      timing.speedup_high = 1;
      return timing;
    }
    // A batch is a small share of the bound; its length varies, so that the verified call is not
    // known.
    const int most = static_cast<int>(std::clamp(options.bound_s / 8 / round_s, 1.0, 8.0));
    for (bool done = false; !done;) {
      const int rounds = 1 + static_cast<int>(generator() % static_cast<uint64_t>(most));
      auto batch = run_batch(session, contenders, draws, rounds, start);
      if (!batch) return tl::unexpected(batch.error());
      keep_latency(*batch);
      start += rounds;
      for (size_t i = 0; i < static_cast<size_t>(rounds); ++i)
        comparison.add(batch->ms[1][i], batch->ms[0][i]);
      const double elapsed = base::seconds_since(began);
      if (comparison.look_due()) done = stop(comparison.look(), elapsed) || comparison.exhausted();
      // Few rounds say nothing: at least the first look is waited for.
      if (!done && elapsed > options.bound_s && comparison.interval().low > 0) {
        comparison.last_look();
        done = true;
      }
    }
    timing = summarize(comparison, "");
  } else {
    std::vector<double> samples;
    while (samples.size() < 3 ||
           (samples.size() < 15 && base::seconds_since(began) < options.bound_s / 2)) {
      const int rounds = 1 + static_cast<int>(generator() % 3);
      auto batch = run_batch(session, contenders, draws, rounds, start);
      if (!batch) return tl::unexpected(batch.error());
      keep_latency(*batch);
      start += rounds;
      samples.insert(samples.end(), batch->ms[0].begin(), batch->ms[0].end());
    }
    timing.ms = median(samples);
    timing.spread = relative_spread(samples);
    timing.rounds = static_cast<int>(samples.size());
  }
  timing.latency_ms = median(latency_ms);
  if (incumbent) timing.reference_latency_ms = median(reference_latency_ms);
  if (auto trouble = too_fast(timing.ms, options)) return tl::unexpected(*trouble);
  KW_CHECK_OK(audit(session, candidate, *draws[static_cast<size_t>(start) % draws.size()],
                    timing.ms, options.launch_allowance_ms));
  return timing;
}

Reply<std::vector<program::StepProfile>> time_steps(Session& session, JudgedProgram& candidate,
                                                    const program::Program& program,
                                                    const BankDraw& draw) {
  const std::vector<std::string> names = program::step_names(program.run, "run");
  std::vector<program::StepProfile> steps;
  if (names.empty() || names.size() > kMostSteps) return steps;
  KW_TRY(const int binding, candidate.binding(draw));
  std::vector<bench::Profiled> samples;
  const auto began = Clock::now();
  while (samples.size() < kStepCalls) {
    KW_TRY(bench::Profiled profiled, session.client().profile({binding}));
    if (profiled.ms.size() != names.size()) return steps;
    // One step alone is the whole call: its time is known.
    if (names.size() == 1 && profiled.counts[0].cycles < 0) return steps;
    if (base::ms_since(began) < kOthersSpinMs) continue;
    samples.push_back(std::move(profiled));
  }
  for (size_t i = 0; i < names.size(); ++i) steps.push_back(step_of(names[i], samples, i));
  return steps;
}

Result<Reply<std::vector<Timing>>> time_against_baselines(
    Session& session, JudgedProgram& candidate, DrawSource& source,
    const std::vector<std::string>& names, const std::vector<const BankDraw*>& draws,
    const TimingOptions& options, uint64_t random) {
  std::mt19937_64 generator(random);
  int start = static_cast<int>(generator() % 64);
  // Contender 0 is the candidate, the rest are the baselines.
  Reply<std::vector<Timing>> troubled = tl::unexpected(Trouble{});
  bool in_trouble = false;
  std::vector<std::vector<double>> latency_ms(names.size() + 1);
  auto sample = [&](size_t who, int calls) -> Result<double> {
    if (who > 0) {
      KW_TRY(torch::Samples times,
             source.time_baseline(names[who - 1], calls, options.flush_bytes));
      if (times.ms.empty()) return fail(ErrorKind::kInternal, "a baseline gave no times");
      latency_ms[who].insert(latency_ms[who].end(), times.latency_ms.begin(),
                             times.latency_ms.end());
      return median(std::move(times.ms));
    }
    auto batch = run_batch(session, {&candidate}, draws, calls, start);
    start += calls;
    if (!batch) {
      troubled = tl::unexpected(batch.error());
      in_trouble = true;
      return 0.0;
    }
    latency_ms[0].push_back(batch->latency_ms[0]);
    return median(batch->ms[0]);
  };

  const size_t count = names.size() + 1;
  double warm_s = 0;
  for (int pass = 0; pass < 2; ++pass) {  // the first one also makes contents and buffers
    const auto warmed = Clock::now();
    for (size_t who = 0; who < count; ++who) {
      KW_TRY(double warm, sample(who, 2));
      static_cast<void>(warm);
      if (in_trouble) return troubled;
    }
    warm_s = base::seconds_since(warmed);
  }
  const auto began = Clock::now();
  // Four looks' worth of rounds fit into the bound when two calls a round take a sixteenth of it.
  const int calls = static_cast<int>(std::clamp(options.bound_s / 16 / warm_s * 2, 1.0, 5.0));
  std::vector<PairedComparison> comparisons(
      names.size(), PairedComparison(plan_looks(warm_s * calls / 2, options.bound_s)));
  const StopRule stop =
      any_of({stop_when_decided(kTolerances.noticeable), stop_after(options.bound_s)});
  for (bool done = names.empty(); !done;) {
    std::vector<double> ms(count);
    const size_t first = generator() % count;
    const bool backwards = generator() % 2 == 0;
    for (size_t turn = 0; turn < count; ++turn) {
      const size_t who = (first + (backwards ? count - turn : turn)) % count;
      KW_TRY(ms[who], sample(who, calls));
      if (in_trouble) return troubled;
    }
    for (size_t i = 0; i < names.size(); ++i) comparisons[i].add(ms[i + 1], ms[0]);
    if (!comparisons[0].look_due()) {
      if (base::seconds_since(began) > options.bound_s && comparisons[0].interval().low > 0) {
        for (PairedComparison& comparison : comparisons) comparison.last_look();
        done = true;
      }
      continue;
    }
    done = true;
    // Each must be decided and, for the reported figures, measured to a percent; time bounds both.
    for (PairedComparison& comparison : comparisons) {
      const Interval& interval = comparison.look();
      const double elapsed = base::seconds_since(began);
      const bool precise =
          stop_when_precise(0.01)(interval, elapsed) || elapsed > options.bound_s / 2;
      done = done && ((stop(interval, elapsed) && precise) || comparison.exhausted());
    }
  }
  std::vector<Timing> timings;
  timings.reserve(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    Timing timing = summarize(comparisons[i], names[i]);
    timing.latency_ms = median(latency_ms[0]);
    // Baselines on a CPU have one figure for both.
    if (!latency_ms[i + 1].empty()) timing.reference_latency_ms = median(latency_ms[i + 1]);
    timings.push_back(timing);
  }
  if (!timings.empty()) {
    if (auto trouble = too_fast(timings[0].ms, options))
      return Reply<std::vector<Timing>>(tl::unexpected(*trouble));
    if (auto honest =
            audit(session, candidate, *draws[0], timings[0].ms, options.launch_allowance_ms);
        !honest)
      return Reply<std::vector<Timing>>(tl::unexpected(honest.error()));
  }
  return Reply<std::vector<Timing>>(std::move(timings));
}

}  // namespace kernelwright::referee

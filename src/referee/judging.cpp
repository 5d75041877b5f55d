// SPDX-License-Identifier: Apache-2.0
#include "referee/judging.h"

#include <fmt/format.h>

#include "base/log.h"
#include "program/program.h"
#include "referee/tolerance.h"

namespace kernelwright::referee {
namespace {

std::string speedup_text(const Timing& timing, bool faster) {
  // Ids by their first digits, as everywhere that somebody reads them.
  return fmt::format("{:.4g} ms against {:.4g} ms of {}: {:.3g} times as fast ({:.3g} to {:.3g}{})",
                     timing.ms, timing.reference_ms, timing.reference.substr(0, 16), timing.speedup,
                     timing.speedup_low, timing.speedup_high,
                     !faster && timing.speedup > kTolerances.noticeable
                         ? fmt::format("; the lower bound must be above {}", kTolerances.noticeable)
                         : "");
}

}  // namespace

Judging::Judging(Subject judged, std::unique_ptr<Space> where, std::unique_ptr<DrawSource> draws,
                 RefereeOptions how)
    : subject(std::move(judged)),
      options(std::move(how)),
      source(std::move(draws)),
      space(std::move(where)),
      bank(*source, *space, subject.interface, options.seed),
      workers(subject.interface, *space, options),
      baselines(*source, options) {
  if (options.flush_bytes == 0) options.flush_bytes = space->default_flush_bytes();
}

TimingOptions Judging::timing(const Prepared& candidate, double bound_s) const {
  const program::Program& program = candidate.candidate.program;
  TimingOptions timing;
  timing.bound_s = bound_s;
  timing.speed_of_light_s = options.speed_of_light_s;
  timing.flush_bytes = options.flush_bytes;
  timing.launch_allowance_ms =
      space->launch_allowance_ms(program::count_actions(program.run, program.params));
  return timing;
}

void Judging::note_conditions(Verdict& verdict) {
  verdict.conditions = space->watched();
  if (!verdict.conditions) return;
  if (const std::string& busy = verdict.conditions->busy; !busy.empty()) {
    verdict.detail += fmt::format("the device is used by others as well: {}\n", busy);
    if (!said_busy_) base::warn(fmt::format("the device is busy ({}): times may be off", busy));
    said_busy_ = true;
  }
  if (const std::string& held = verdict.conditions->throttled; !held.empty())
    verdict.detail += fmt::format("the device was throttled during the timing: {}\n", held);
}

Verdict rejected(Tier tier, VerdictKind kind, std::string reason, std::string detail) {
  Verdict verdict;
  verdict.kind = kind;
  verdict.tier = tier;
  verdict.reason = std::move(reason);
  verdict.detail = std::move(detail);
  return verdict;
}

Result<Verdict> rejected(Tier tier, const Trouble& trouble) {
  if (trouble.ours) return fail(*trouble.ours);
  return rejected(tier, trouble.kind, trouble.reason);
}

bool is_faster(const Timing& timing) {
  return timing.speedup_low > kTolerances.noticeable;
}

Result<Verdict> decided(const Finisher& finish, const Timing& timing) {
  const bool faster = is_faster(timing);
  return finish(faster ? VerdictKind::kAccepted : VerdictKind::kSlower,
                speedup_text(timing, faster));
}

}  // namespace kernelwright::referee

// SPDX-License-Identifier: Apache-2.0
#include "referee/promotion.h"

#include <fmt/format.h>

#include <memory>
#include <vector>

namespace kernelwright::referee {
namespace {

// Two of own content for timing, one of another kind, one to spare.
constexpr int kDrawsAtPromotion = 4;

}  // namespace

Result<Verdict> judge_for_promotion(Judging& judging, const Prepared& rebuilt) {
  KW_TRY(std::vector<std::string> names, judging.baselines.ready());
  // Of a region that fills the memory, one draw is held at a time, and the draw for timing comes
  // last. Where both do not fit, the bank makes room; judge() fills it again.
  const auto fits = [&](size_t draws) {
    const int wanted = static_cast<int>(draws);
    return judging.space->most_draws(judging.subject.interface, wanted) == wanted;
  };
  const bool roomy = fits(kDrawsAtPromotion);
  if (!fits(kDrawsAtPromotion + judging.bank.draws().size())) judging.bank.clear();
  Bank fresh(*judging.source, *judging.space, judging.subject.interface,
             judging.options.seed == 0 ? 0 : judging.bank.random() | 1);
  KW_TRY(Session session, judging.workers.take());
  if (auto loaded = judging.workers.load(session, {&rebuilt}); !loaded)
    return rejected(Tier::kPromotion, loaded.error());
  KW_TRY(JudgedProgram judged, JudgedProgram::create(session, *judging.space, 0,
                                                     judging.subject.interface, fresh.random()));

  Verdict verdict;
  verdict.tier = Tier::kPromotion;
  verdict.build_s = rebuilt.object->seconds;
  verdict.kernels = rebuilt.object->kernels;
  const Finisher finish(verdict, judged);

  // Own content first: those draws are kept for timing. All others come one by one, since the
  // expected results of a large region fill the memory.
  std::vector<std::unique_ptr<BankDraw>> own;
  std::vector<torch::DrawKind> kinds = all_draw_kinds();
  kinds.insert(roomy ? kinds.begin() : kinds.end(), torch::DrawKind::kOwn);
  for (size_t k = 0; k < kinds.size(); ++k) {
    const torch::DrawKind kind = kinds[k];
    KW_TRY(std::unique_ptr<BankDraw> draw, fresh.draw(kind));
    if (!draw) continue;
    if (draw->ill_conditioned)
      verdict.detail +=
          fmt::format("the {} draw is ill-conditioned\n", torch::draw_kind_name(kind));
    session.client().set_deadline(deadline_after(judging.options.deadline_s));
    std::vector<const BankDraw*> order = {draw.get()};
    if (!own.empty()) order.push_back(own[fresh.random() % own.size()].get());
    order.push_back(draw.get());
    // The last call of each draw finds scratch as another draw left it.
    const int poison = static_cast<int>(fresh.random() % 2) == 0 ? 0xff : 0x7b;
    for (size_t i = 0; i < order.size(); ++i) {
      auto call = judged.verify(*order[i], i + 1 == order.size() ? -1 : poison);
      if (!call)
        return finish(judging.workers.located(call.error(), rebuilt, {draw.get()}, fresh.random()));
    }
    if (kind == torch::DrawKind::kOwn && (roomy || k + 1 == kinds.size())) {
      own.push_back(std::move(draw));
      continue;
    }
    judged.forget(*draw);
    auto dropped = session.forget(*draw->given);
    if (dropped && draw->weights.use_count() == 1) dropped = session.forget(*draw->weights);
    if (!dropped) return finish(dropped.error());
  }

  if (!own.empty()) {
    KW_TRY(const std::string finding,
           judging.workers.checked_by_tools(rebuilt, *own.back(), fresh.random(), verdict.detail));
    if (!finding.empty()) return finish(VerdictKind::kRefused, finding);
  }

  if (own.empty())
    return finish(VerdictKind::kRefused,
                  "not timed: the workload's own inputs cannot be drawn again: " +
                      judging.source->why_skipped());
  std::vector<const BankDraw*> timed;
  timed.reserve(own.size());
  for (const auto& draw : own) timed.push_back(draw.get());
  session.client().set_deadline(
      deadline_after(judging.options.deadline_s + 10 * judging.options.promotion_time_s));
  const TimingOptions options = judging.timing(rebuilt, judging.options.promotion_time_s);
  judging.space->watch();
  KW_TRY(auto timings, time_against_baselines(session, judged, *judging.source, names, timed,
                                              options, fresh.random()));
  if (!timings) return finish(timings.error());
  verdict.baselines = *timings;
  judging.note_conditions(verdict);
  const Baselines& kept = judging.baselines.keep(*timings);
  for (const Timing& timing : *timings) {
    if (timing.reference == kept.best_name) verdict.timing = timing;
  }
  auto steps = time_steps(session, judged, rebuilt.candidate.program, *timed[0]);
  if (!steps) return finish(steps.error());
  verdict.steps = std::move(*steps);
  judging.workers.refill();
  return decided(finish, *verdict.timing);
}

}  // namespace kernelwright::referee

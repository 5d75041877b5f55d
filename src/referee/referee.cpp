// SPDX-License-Identifier: Apache-2.0
#include "referee/referee.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/log.h"
#include "program/layout.h"
#include "program/validate.h"
#include "referee/judging.h"
#include "referee/promotion.h"
#include "referee/tolerance.h"

namespace kernelwright::referee {
namespace {

constexpr int64_t kRuntimeAlignment = 64;
constexpr size_t kReasonBytes = 400;

// The line of a compiler's log that a proposer should read first.
std::string first_error(const std::string& log) {
  size_t begin = 0;
  while (begin < log.size()) {
    const size_t end = std::min(log.find('\n', begin), log.size());
    const std::string line = log.substr(begin, end - begin);
    if (line.find("error") != std::string::npos) return line.substr(0, kReasonBytes);
    begin = end + 1;
  }
  return log.substr(0, std::min<size_t>(log.find('\n'), kReasonBytes));
}

class RefereeImpl final : public Referee {
 public:
  RefereeImpl(Subject subject, target::Target& target, std::unique_ptr<Space> space,
              std::unique_ptr<DrawSource> source, RefereeOptions options)
      : target_(target),
        judging_(std::move(subject), std::move(space), std::move(source), std::move(options)) {}

  Result<std::optional<std::string>> get_ready() override;
  Result<std::vector<Prepared>> prepare(std::vector<program::Candidate> batch) override;
  Result<Verdict> judge(const Prepared& candidate, const Prepared* incumbent,
                        double time_s) override;
  Result<Verdict> promote(const Prepared& candidate) override;
  Result<Baselines> baselines() override { return judging_.baselines.measured(); }

 private:
  Result<Prepared> prepare_one(program::Candidate candidate);
  Result<std::optional<std::string>> fill_bank();
  Reply<void> verify_on_bank(JudgedProgram& judged, double too_slow_ms, double* slow_ms);
  std::vector<const BankDraw*> timed_draws(const JudgedProgram& judged) const;
  Result<Verdict> judge_right(const Prepared& candidate, const Prepared* incumbent, double time_s,
                              Session& session);

  target::Target& target_;
  Judging judging_;
  std::map<std::string, double> known_ms_;  // medians of incumbents, by id
};

Result<Prepared> RefereeImpl::prepare_one(program::Candidate candidate) {
  Prepared prepared;
  prepared.id = program::candidate_id(candidate);
  prepared.candidate = std::move(candidate);
  const program::Program& program = prepared.candidate.program;
  auto refuse = [&](VerdictKind kind, std::string reason, std::string detail = "") {
    prepared.early = rejected(Tier::kSearch, kind, std::move(reason), std::move(detail));
    return std::move(prepared);
  };
  if (program.target != target_.kind())
    return refuse(VerdictKind::kRefused,
                  fmt::format("the program is for target '{}', this workload is on '{}'",
                              program.target, target_.kind()));
  if (Status status = program::validate(program); !status)
    return refuse(VerdictKind::kRefused, "malformed: " + status.error().text());
  if (Status status = program::validate_against(program, judging_.subject.interface); !status) {
    return refuse(VerdictKind::kRefused, "does not fit the region: " + status.error().text());
  }
  auto layout = program::lay_out(program, kRuntimeAlignment);
  if (!layout) return refuse(VerdictKind::kRefused, "malformed: " + layout.error().text());
  if (static_cast<uint64_t>(layout->total()) > judging_.options.memory_bytes) {
    return refuse(VerdictKind::kRefused,
                  fmt::format("needs {} bytes of workspace, the limit is {}", layout->total(),
                              judging_.options.memory_bytes));
  }
  KW_TRY(auto built, target_.build(prepared.candidate, judging_.subject.policy));
  if (!built) {
    return refuse(
        VerdictKind::kBuildFailed,
        built.error().timed_out ? "the compiler ran out of time" : first_error(built.error().log),
        built.error().log);
  }
  prepared.object = std::move(*built);
  if (auto reason = target_.screen(*prepared.object, program))
    return refuse(VerdictKind::kRefused, *reason);
  return prepared;
}

Result<std::vector<Prepared>> RefereeImpl::prepare(std::vector<program::Candidate> batch) {
  std::vector<std::optional<Result<Prepared>>> results(batch.size());
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i = next++; i < batch.size(); i = next++) {
      // An exception that left a thread would end the process.
      try {
        results[i] = prepare_one(std::move(batch[i]));
      } catch (const std::exception& error) {
        results[i] = fail(ErrorKind::kInternal,
                          fmt::format("a candidate cannot be made ready: {}", error.what()));
      }
    }
  };
  const size_t jobs =
      std::min<size_t>(batch.size(), std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> threads;
  try {
    for (size_t i = 1; i < jobs; ++i) threads.emplace_back(work);
  } catch (const std::system_error& error) {
    // Those that there are do it all.
    base::debug(fmt::format("referee: no more threads are to be had: {}", error.what()));
  }
  work();
  for (std::thread& thread : threads) thread.join();
  std::vector<Prepared> out;
  for (auto& result : results) {
    if (!*result) return tl::unexpected(result->error());
    out.push_back(std::move(**result));
  }
  return out;
}

// The reason when there is nothing to judge by.
Result<std::optional<std::string>> RefereeImpl::fill_bank() {
  if (!judging_.bank.draws().empty()) return std::nullopt;
  const auto began = std::chrono::steady_clock::now();
  KW_TRY(const bool filled, judging_.bank.fill(judging_.space->most_draws(
                                judging_.subject.interface, judging_.options.search_draws)));
  if (!filled) {
    const std::string why = judging_.source->why_skipped();
    return fmt::format("no program can be judged on the workload's own inputs{}{}",
                       why.empty() ? "" : ": ", why);
  }
  base::debug(fmt::format(
      "referee: {} draws of {} in {:.2f} s", judging_.bank.draws().size(), judging_.subject.region,
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count()));
  return std::nullopt;
}

Result<std::optional<std::string>> RefereeImpl::get_ready() {
  KW_TRY(auto reason, fill_bank());
  if (!reason) judging_.workers.refill();
  return reason;
}

Reply<void> RefereeImpl::verify_on_bank(JudgedProgram& judged, double too_slow_ms,
                                        double* slow_ms) {
  std::vector<const BankDraw*> order;
  for (const auto& draw : judging_.bank.draws()) order.push_back(draw.get());
  for (size_t i = order.size(); i-- > 1;)
    std::swap(order[i], order[judging_.bank.random() % (i + 1)]);
  // Two draws come again at the end, over scratch as it was left: the same content must give the
  // same bits.
  const size_t all = order.size();
  order.push_back(order[judging_.bank.random() % all]);
  order.push_back(order[0]);
  for (size_t i = 0; i < order.size(); ++i) {
    const int poison = i >= all ? -1 : i % 2 == 0 ? 0xff : 0x7b;
    auto call = judged.verify(*order[i], poison);
    if (!call) return tl::unexpected(call.error());
    // Far behind after two right calls: right or not, it is of no use.
    if (i == 0) continue;
    if (too_slow_ms > 0 && call->ms > too_slow_ms) {
      *slow_ms = call->ms;
      return {};
    }
  }
  return {};
}

std::vector<const BankDraw*> RefereeImpl::timed_draws(const JudgedProgram& judged) const {
  std::vector<const BankDraw*> draws;
  for (const auto& draw : judging_.bank.draws()) {
    if (draw->kind == torch::DrawKind::kOwn && judged.verified(*draw)) draws.push_back(draw.get());
  }
  return draws;
}

Result<Verdict> RefereeImpl::judge_right(const Prepared& candidate, const Prepared* incumbent,
                                         double time_s, Session& session) {
  std::vector<const Prepared*> programs = {&candidate};
  if (incumbent) programs.push_back(incumbent);
  if (auto loaded = judging_.workers.load(session, programs); !loaded)
    return rejected(Tier::kSearch, loaded.error());

  KW_TRY(JudgedProgram judged,
         JudgedProgram::create(session, *judging_.space, 0, judging_.subject.interface,
                               judging_.bank.random()));
  Verdict verdict;
  verdict.tier = Tier::kSearch;
  verdict.build_s = candidate.object->seconds;
  verdict.kernels = candidate.object->kernels;
  const Finisher finish(verdict, judged);
  double known = 0;
  if (incumbent) {
    if (auto it = known_ms_.find(incumbent->id); it != known_ms_.end()) known = it->second;
  }
  double slow_ms = 0;
  if (auto verified = verify_on_bank(judged, known > 0 ? known * 8 + 2 : 0, &slow_ms); !verified) {
    std::vector<const BankDraw*> draws;
    for (const auto& draw : judging_.bank.draws()) draws.push_back(draw.get());
    return finish(
        judging_.workers.located(verified.error(), candidate, draws, judging_.bank.random()));
  }
  if (slow_ms > 0) {
    Timing timing;
    timing.ms = timing.latency_ms = slow_ms;
    timing.reference = incumbent->id;
    timing.reference_ms = known;
    timing.speedup = timing.speedup_high = known / slow_ms;
    timing.speedup_low = 0;
    timing.rounds = 1;
    verdict.timing = timing;
    return finish(VerdictKind::kSlower,
                  fmt::format("{:.4g} ms in a first call against {:.4g} ms: not measured further",
                              slow_ms, known));
  }

  std::optional<JudgedProgram> other;
  if (incumbent) {
    KW_TRY(other, JudgedProgram::create(session, *judging_.space, 1, judging_.subject.interface,
                                        judging_.bank.random()));
  }
  const TimingOptions options =
      judging_.timing(candidate, time_s > 0 ? time_s : judging_.options.search_time_s);
  judging_.space->watch();
  auto timing = time_in_worker(session, judged, other ? &*other : nullptr, timed_draws(judged),
                               options, judging_.bank.random());
  if (!timing) return finish(timing.error());
  if (incumbent) timing->reference = incumbent->id;
  verdict.timing = *timing;
  judging_.note_conditions(verdict);
  known_ms_[candidate.id] = timing->ms;
  // Proposers go on from a new best: they are told where its time goes.
  if (!incumbent || is_faster(*timing)) {
    auto steps = time_steps(session, judged, candidate.candidate.program, *timed_draws(judged)[0]);
    if (!steps) return finish(steps.error());
    verdict.steps = std::move(*steps);
  }
  if (!incumbent)
    return finish(VerdictKind::kAccepted, fmt::format("right; {:.4g} ms", timing->ms));
  return decided(finish, *timing);
}

Result<Verdict> RefereeImpl::judge(const Prepared& candidate, const Prepared* incumbent,
                                   double time_s) {
  if (candidate.early) return *candidate.early;
  if (!candidate.object)
    return fail(ErrorKind::kInternal, "a candidate without an object cannot be judged");
  if (incumbent && !incumbent->object)
    return fail(ErrorKind::kInternal, "the incumbent has no object");
  KW_TRY(const auto reason, fill_bank());
  if (reason) return fail(ErrorKind::kInput, *reason);
  KW_TRY(Session session, judging_.workers.take());
  auto verdict = judge_right(candidate, incumbent, time_s, session);
  judging_.workers.refill();
  return verdict;
}

Result<Verdict> RefereeImpl::promote(const Prepared& candidate) {
  if (candidate.early) {
    Verdict verdict = *candidate.early;
    verdict.tier = Tier::kPromotion;
    return verdict;
  }
  if (!candidate.object)
    return fail(ErrorKind::kInternal, "a candidate without an object cannot be judged");
  // A clean build: the cached object is put aside, and the new one must have the same identity.
  std::error_code ignored;
  std::filesystem::remove(candidate.object->path, ignored);
  KW_TRY(Prepared rebuilt, prepare_one(candidate.candidate));
  if (rebuilt.early) {
    Verdict verdict = *rebuilt.early;
    verdict.tier = Tier::kPromotion;
    return verdict;
  }
  if (rebuilt.object->key != candidate.object->key) {
    return rejected(Tier::kPromotion, VerdictKind::kBuildFailed,
                    "a clean build has another identity: compiler or flags changed during the run");
  }

  return judge_for_promotion(judging_, rebuilt);
}

}  // namespace

program::Interface interface_of(const graph::Graph& graph, const graph::Region& region) {
  program::Interface interface;
  auto slot = [&](int id, std::string name) {
    graph::TensorType type = graph.value(id).type;
    type.strides.clear();
    return program::Interface::Slot{std::move(name), std::move(type)};
  };
  for (int id : region.inputs) interface.inputs.push_back(slot(id, ""));
  for (int id : region.weights) interface.weights.push_back(slot(id, graph.value(id).weight_name));
  for (int id : region.outputs) interface.outputs.push_back(slot(id, ""));
  for (const graph::Mutation& mutation : region.mutations)
    interface.states.push_back(slot(mutation.value, mutation.weight_name));
  return interface;
}

Result<std::unique_ptr<Referee>> Referee::open(Subject subject, target::Target& target,
                                               torch::Worker& torch, RefereeOptions options) {
  auto source = torch_draw_source(torch, subject.region, target.name() != "cpu");
  return open_with(std::move(subject), target, std::move(source), std::move(options));
}

Result<std::unique_ptr<Referee>> Referee::open_with(Subject subject, target::Target& target,
                                                    std::unique_ptr<DrawSource> source,
                                                    RefereeOptions options) {
  if (std::string reason = target.absent_reason(); !reason.empty())
    return fail(ErrorKind::kEnvironment, reason);
  if (!target.supports(subject.policy)) {
    return fail(ErrorKind::kUsage, fmt::format("target {} does not support policy {}",
                                               target.name(), target::policy_name(subject.policy)));
  }
  KW_TRY(auto space, open_space(target.name()));
  return std::unique_ptr<Referee>(new RefereeImpl(std::move(subject), target, std::move(space),
                                                  std::move(source), std::move(options)));
}

}  // namespace kernelwright::referee

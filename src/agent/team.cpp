// SPDX-License-Identifier: Apache-2.0
#include "agent/team.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "agent/synthesizer.h"
#include "archive/lessons.h"

namespace kernelwright::agent {
namespace {

constexpr size_t kLessonsShown = 6;
constexpr int kLessonsRead = 2000;
constexpr double kWatchSeconds = 0.05;

int count_launches(const std::vector<program::Step>& steps) {
  int count = 0;
  for (const auto& step : steps) {
    if (const auto* repeat = std::get_if<program::Repeat>(&step.action))
      count += count_launches(repeat->body);
    else
      ++count;
  }
  return count;
}

class Team {
 public:
  Team(Workbench& bench, const RegionFacts& region, Meter& meter, const TeamOptions& options)
      : desk_(bench, [this] { return cancel_.cancelled(); }),
        region_(region),
        meter_(meter),
        options_(options) {}

  Result<TeamResult> work() {
    KW_CHECK_OK(look_around());
    Population population(ideas_for(idea_facts(
        desk_.facts(), region_, shown_ ? count_launches(shown_->candidate.program.run) : 0,
        foreign_.has_value() || other_target_lesson())));
    while (true) {
      result_.stop_reason = why_stop(population);
      if (!result_.stop_reason.empty()) break;
      const auto round = population.next_round(options_.parallel, leader());
      if (round.empty()) {
        result_.stop_reason = "ideas exhausted";
        break;
      }
      KW_CHECK_OK(hold_round(round, population));
    }
    return std::move(result_);
  }

 private:
  std::optional<Member> leader() {
    const auto best = desk_.best(region_.region.id);
    if (!best) return std::nullopt;
    return Member{best->id, best->ms};
  }

  bool near_light() {
    const auto best = desk_.best(region_.region.id);
    return best && is_near_light(best->ms, region_, options_);
  }

  bool interrupted() const { return options_.stop && options_.stop(); }

  std::string why_stop(const Population& population) {
    if (interrupted()) return "interrupted";
    if (result_.error) return "model";
    if (near_light()) return "near the speed of light";
    if (desk_.elapsed() >= options_.budget_s) return "budget";
    if (auto spent = spent_budget(meter_, options_); !spent.empty()) return spent;
    if (out_of_money_) return "money";
    if (population.rounds_without_gain() >= options_.patience) return "no gain";
    return "";
  }

  // Lessons, and what another target has for the same region.
  Status look_around() {
    auto& archive = desk_.bench().archive();
    KW_TRY(auto lessons, archive.lessons("", kLessonsRead));
    lessons_ = archive::similar_lessons(std::move(lessons),
                                        {region_.ops, desk_.facts().target, region_.light.bound},
                                        kLessonsShown);
    for (const auto& lesson : lessons_) {
      if (lesson.target == desk_.facts().target || foreign_) continue;
      auto candidate = archive.load(lesson.program);
      if (candidate)
        foreign_ =
            ShownProgram{lesson.program, lesson.change, lesson.target, 0, std::move(*candidate)};
    }
    KW_TRY(const auto records, archive.verdicts_of_subject(region_.subject));
    std::set<std::string> of_others;
    for (const auto& record : records)
      if (record.proposer != "llm") of_others.insert(record.program);
    desk_.know(of_others);
    return show_best();
  }

  bool other_target_lesson() const {
    return std::any_of(lessons_.begin(), lessons_.end(),
                       [&](const auto& lesson) { return lesson.target != desk_.facts().target; });
  }

  // The best program, with its profile, for the first messages of a round.
  Status show_best() {
    const auto best = desk_.best(region_.region.id);
    if (!best || (shown_ && shown_->id == best->id)) return {};
    KW_TRY(auto shown, show(best->id, best->ms));
    shown_ = std::move(shown);
    program::Proposal proposal;
    proposal.candidate = shown_->candidate;
    proposal.proposer = best->proposer;
    proposal.idea = best->idea;
    auto profile = desk_.profile(region_.region.id, proposal);
    profile_.reset();
    if (profile) profile_ = std::move(*profile);
    return {};
  }

  Result<ShownProgram> show(const std::string& id, double ms) {
    auto& archive = desk_.bench().archive();
    ShownProgram shown{id, "", desk_.facts().target, ms, {}};
    KW_TRY(shown.candidate, archive.load(id));
    KW_TRY(const auto records, archive.verdicts_of_program(id));
    if (!records.empty()) shown.idea = records.back().idea;
    return shown;
  }

  // The first message of a conversation that begins with `parent`.
  Result<std::string> context(const std::optional<Member>& parent) {
    ContextInput input;
    input.workload = &desk_.facts();
    input.region = &region_;
    KW_TRY(input.tried, desk_.bench().archive().verdicts_of_subject(region_.subject));
    input.lessons = lessons_;
    input.foreign = foreign_;
    input.playbook = options_.playbook;
    input.hints = options_.hints;
    if (shown_ && parent && parent->program != shown_->id) {
      // Its own lineage first; the leader's time stands in the list of what was tried.
      KW_TRY(input.best, show(parent->program, parent->ms));
    } else {
      input.best = shown_;
      input.profile = profile_;
    }
    return assemble(context_sections(input), options_.context_tokens);
  }

  // Starts the conversations of a round together and waits for all of them.
  Status hold_round(const std::vector<Assignment>& round, Population& population) {
    KW_CHECK_OK(show_best());
    std::vector<Brief> briefs;
    for (const auto& assignment : round) {
      Brief brief;
      brief.id =
          fmt::format("{}/{}-{}", region_.region.id, assignment.round, assignment.idea->name);
      brief.assignment = assignment;
      brief.provider = options_.models[next_model_++ % options_.models.size()].get();
      KW_TRY(brief.context, context(assignment.parent));
      briefs.push_back(std::move(brief));
    }
    cancel_ = CancelToken();
    const Floor floor{desk_, meter_, region_, options_, cancel_};
    std::vector<Held> held(briefs.size());
    std::atomic<size_t> done = 0;
    std::vector<std::thread> threads;
    for (size_t i = 0; i < briefs.size(); ++i)
      threads.emplace_back([&, i] {
        held[i] = hold_conversation(floor, briefs[i]);
        ++done;
        desk_.wake();
      });
    while (done < briefs.size()) {
      desk_.pump(kWatchSeconds);
      if (must_end()) cancel_.cancel();
      if (options_.on_progress) options_.on_progress(static_cast<int>(briefs.size() - done));
    }
    for (auto& thread : threads) thread.join();
    for (auto& one : held) take(one, population);
    if (auto trouble = desk_.trouble(); trouble && !interrupted()) return fail(*trouble);
    return {};
  }

  bool must_end() const { return interrupted() || desk_.elapsed() >= options_.budget_s; }

  void take(Held& held, Population& population) {
    population.learn(held.outcome);
    out_of_money_ |= held.log.ended == "money";
    result_.conversations.push_back(std::move(held.log));
    for (auto& log : held.analyses) result_.conversations.push_back(std::move(log));
    result_.submitted += static_cast<int>(held.submitted.size());
    for (auto& submission : held.submitted)
      if (submission.gained()) result_.finds.push_back(std::move(submission));
    std::stable_sort(result_.finds.begin(), result_.finds.end(),
                     [](const auto& a, const auto& b) { return a.at_s < b.at_s; });
    if (held.error && !result_.error) result_.error = held.error;
  }

  Desk desk_;
  const RegionFacts& region_;
  Meter& meter_;
  const TeamOptions& options_;
  CancelToken cancel_;
  std::vector<archive::Lesson> lessons_;
  std::optional<ShownProgram> shown_, foreign_;
  std::optional<Profile> profile_;
  size_t next_model_ = 0;
  bool out_of_money_ = false;
  TeamResult result_;
};

}  // namespace

Result<TeamResult> work_on(Workbench& bench, const RegionFacts& region, Meter& meter,
                           const TeamOptions& options) {
  if (options.models.empty()) return fail(ErrorKind::kInternal, "agents without a model");
  return Team(bench, region, meter, options).work();
}

}  // namespace kernelwright::agent

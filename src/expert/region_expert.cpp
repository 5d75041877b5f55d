// SPDX-License-Identifier: Apache-2.0
#include "expert/region_expert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace kernelwright::expert {

namespace {

constexpr size_t kEnumerated = 60000;  // schedules ranked per family and op
constexpr size_t kKept = 256;          // of them kept
// A family whose best prediction is within this factor of the op's best gets a try of its own.
constexpr double kWorthATry = 3;
constexpr int kUnrelated = 99;  // distance of schedules of different families

std::string op_title(const rewrite::FusedOp& op) {
  for (const auto& stage : op.stages) {
    if (stage.combiner == graph::Combiner::kSum && op.anchor == rewrite::Anchor::kContraction)
      return stage.origin;
  }
  return op.stages.empty() ? "op" : op.stages.back().origin;
}

void sort_by_prediction(std::vector<Option>& options) {
  std::stable_sort(options.begin(), options.end(),
                   [](const Option& a, const Option& b) { return a.ranked_s < b.ranked_s; });
}

// Ops that a choice leaves out, since a joined one stands for them.
std::vector<bool> left_out(const std::vector<const Option*>& choice) {
  std::vector<bool> out(choice.size(), false);
  for (const Option* option : choice) {
    if (option->joined == nullptr) continue;
    const auto& parts = option->joined->parts;
    for (size_t i = 0; i + 1 < parts.size(); ++i) out[parts[i]] = true;
  }
  return out;
}

std::string knob_prefix(size_t op) {
  return fmt::format("op{}.", op);
}
std::string family_key(size_t op, const std::string& family) {
  return fmt::format("family/op{}/{}", op, family);
}

bool has_family(const std::map<std::string, int64_t>& schedule, size_t op) {
  const std::string any = family_key(op, "");
  const auto first = schedule.lower_bound(any);
  return first != schedule.end() && first->first.rfind(any, 0) == 0;
}

// Rules and how often each was used, wherever that was.
std::map<std::string, int64_t> rules_of(const std::map<std::string, int64_t>& schedule) {
  std::map<std::string, int64_t> rules;
  for (const auto& [key, count] : schedule)
    if (const auto rule = rule_of_key(key)) rules[rule->rule] += count;
  return rules;
}

double octaves(int64_t a, int64_t b) {
  const auto size = [](int64_t value) {
    return std::log2(1 + std::abs(static_cast<double>(value)));
  };
  return std::abs(size(a) - size(b));
}

// Least bytes and operations of an op.
graph::Work work_of(const rewrite::FusedGraph& graph, const rewrite::FusedOp& op) {
  graph::StageGraph stages;
  stages.tensors = graph.tensors;
  graph::Work work;
  for (const graph::Stage& stage : op.stages) {
    const graph::Work own = graph::count_stage_work(stages, stage);
    work.contraction_flops += own.contraction_flops;
    work.other_flops += own.other_flops;
  }
  work.bytes = OpContext(graph, op, target::MachineModel{}, 1).bytes();
  return work;
}

// Knobs in which two options differ.
int distance(const Option& a, const Option& b) {
  if (a.family != b.family) return kUnrelated;
  int differing = 0;
  for (const auto& [knob, value] : a.schedule) differing += b.schedule.at(knob) != value ? 1 : 0;
  return differing;
}

}  // namespace

Result<BuiltProgram> build_program(const rewrite::FusedGraph& graph,
                                   const std::vector<const Option*>& choice,
                                   const target::MachineModel& model, int threads,
                                   const std::string& target) {
  ProgramBuilder builder(graph.tensors, target);
  const std::vector<bool> skipped = left_out(choice);
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (skipped[i]) continue;
    const rewrite::FusedOp& op = choice[i]->joined ? choice[i]->joined->op : graph.ops[i];
    const OpContext context(graph, op, model, threads);
    builder.begin_op(op, i);
    KW_CHECK_OK(choice[i]->family->emit(context, choice[i]->schedule, builder));
  }
  program::Candidate candidate = builder.finish();
  return BuiltProgram{std::move(candidate), builder.op_of_step()};
}

RegionExpert::RegionExpert(rewrite::FusedGraph graph, std::vector<rewrite::Applied> applied,
                           target::MachineModel model, ExpertOptions options)
    : graph_(std::move(graph)),
      applied_(std::move(applied)),
      model_(std::move(model)),
      options_(std::move(options)),
      families_(families(options_.target)),
      random_(options_.seed),
      experience_([this](size_t op, int index) { return option(op, index).family->name(); }) {
  ceilings_ = model_.ceilings(graph::compute_dtype(graph_.tensors), options_.policy);
  for (const rewrite::FusedOp& op : graph_.ops) {
    work_.push_back(work_of(graph_, op));
    rank(op);
  }
  for (const rewrite::JoinedOp& joined : graph_.joined) rank_joined(joined);
  for (const auto& ranked : ranked_) {
    order_.emplace_back(ranked.size());
    std::iota(order_.back().begin(), order_.back().end(), 0);
  }
  base_.assign(graph_.ops.size(), 0);
  tried_.resize(graph_.ops.size());
}

std::vector<Option> RegionExpert::options_of(const Family* family, const OpContext& context) {
  std::vector<Option> own;
  const ScheduleSpace space = family->space(context);
  for (const Knob& knob : space) bears_[family][knob.name] = knob.bears;
  for (Schedule& schedule : enumerate(space, kEnumerated)) {
    if (!family->legal(context, schedule)) continue;
    const double predicted = family->predict_seconds(context, schedule);
    own.push_back({family, std::move(schedule), predicted, nullptr, predicted});
  }
  // Per family: one that predicts too well must not leave the others out.
  sort_by_prediction(own);
  if (own.size() > kKept) own.resize(kKept);
  return own;
}

void RegionExpert::rank(const rewrite::FusedOp& op) {
  const OpContext context(graph_, op, model_, options_.threads, options_.policy);
  std::vector<Option> all;
  for (const Family* family : families_) {
    if (op.steps > 0 && !family->takes_loops()) continue;
    if (family->takes_joined() || !family->accepts(context)) continue;
    // `general` is the fallback, not an idea.
    if (family == families_.back() && !all.empty()) continue;
    std::vector<Option> own = options_of(family, context);
    all.insert(all.end(), own.begin(), own.end());
  }
  sort_by_prediction(all);
  ranked_.push_back(std::move(all));
}

// The joined op's options join those of its last part.
void RegionExpert::rank_joined(const rewrite::JoinedOp& joined) {
  const OpContext context(graph_, joined.op, model_, options_.threads, options_.policy);
  std::vector<Option>& last = ranked_[joined.parts.back()];
  joined_work_[&joined] = work_of(graph_, joined.op);
  double others_s = 0;
  for (size_t i = 0; i + 1 < joined.parts.size(); ++i)
    others_s += ranked_[joined.parts[i]][0].ranked_s;
  for (Option& option : last) option.ranked_s += others_s;
  for (const Family* family : families_) {
    if (!family->takes_joined() || !family->accepts(context)) continue;
    for (Option& option : options_of(family, context)) {
      option.joined = &joined;
      last.push_back(std::move(option));
    }
  }
  sort_by_prediction(last);
}

Result<std::vector<program::Proposal>> RegionExpert::propose(int count) {
  reorder();
  std::vector<program::Proposal> proposals;
  for (int failures = 0; static_cast<int>(proposals.size()) < count && failures < 64;) {
    auto next = next_choice();
    if (!next) break;
    auto proposal = make(*next);
    if (!proposal) {
      if (seen_.size() == 1) return fail(proposal.error());
      ++failures;
      continue;
    }
    proposals.push_back(std::move(*proposal));
  }
  std::stable_sort(proposals.begin(), proposals.end(), [](const auto& a, const auto& b) {
    return a.learned_s + b.learned_s > 0 ? a.learned_s < b.learned_s
                                         : a.predicted_s < b.predicted_s;
  });
  return proposals;
}

void RegionExpert::learn(const program::Outcome& outcome) {
  const auto it = proposed_.find(outcome.candidate_id);
  if (it == proposed_.end()) return;
  const Choice& choice = it->second.choice;
  experience_.learn(choice, outcome);
  const std::vector<int>& op_of_step = it->second.op_of_step;
  std::vector<program::StepProfile> steps = outcome.steps;
  // A single step takes the whole time.
  if (steps.empty() && outcome.correct && op_of_step.size() == 1)
    steps = {{"run[0]", outcome.seconds * 1e3}};
  if (auto ops = profile_ops(steps, op_of_step, choice.size()); !ops.empty())
    profiles_[choice] = std::move(ops);
  if (outcome.correct) {
    if (!learned_) {
      std::vector<double> weights;
      for (size_t i = 0; i < choice.size(); ++i)
        weights.push_back(graph_.ops[i].prepared ? 0 : option(i, choice[i]).predicted_s);
      learned_.emplace(std::move(weights));
    }
    learned_->learn(made_of(choice), total_predicted(choice), outcome.seconds);
  }
  if (const auto* best = experience_.best()) base_ = best->choice;
  if (learned_ && profile()) learned_->weigh(shares());
  // What failed for another option's sake is an idea again.
  for (size_t op = 0; op < tried_.size(); ++op)
    std::erase_if(tried_[op], [&](int index) { return experience_.acquitted(op, index); });
}

std::vector<const Option*> RegionExpert::options_of(const Choice& choice) const {
  std::vector<const Option*> options;
  for (size_t i = 0; i < choice.size(); ++i) options.push_back(&option(i, choice[i]));
  return options;
}

double RegionExpert::total_predicted(const Choice& choice) const {
  double total = 0;
  const std::vector<bool> skipped = left_out(options_of(choice));
  for (size_t i = 0; i < choice.size(); ++i)
    if (!graph_.ops[i].prepared && !skipped[i]) total += option(i, choice[i]).predicted_s;
  return total;
}

// What is left out is made by nobody.
Made RegionExpert::made_of(const Choice& choice) const {
  Made made;
  const std::vector<bool> skipped = left_out(options_of(choice));
  for (size_t i = 0; i < choice.size(); ++i) {
    if (skipped[i])
      made.parts.emplace_back();
    else
      made.parts.push_back({option(i, choice[i]).family->name(), option(i, choice[i]).schedule});
  }
  return made;
}

// Beside the base's options for the other ops.
void RegionExpert::reorder() {
  if (!learned_ || !learned_->ready()) return;
  const double whole = total_predicted(base_);
  for (size_t op = 0; op < order_.size(); ++op) {
    if (graph_.ops[op].prepared) continue;
    const double rest = std::max(0.0, whole - option(op, base_[op]).ranked_s);
    std::vector<double> corrected;
    for (const Option& o : ranked_[op])
      corrected.push_back((rest + o.ranked_s) *
                          learned_->correction_of(op, {o.family->name(), o.schedule}));
    std::stable_sort(order_[op].begin(), order_[op].end(), [&](int a, int b) {
      return corrected[static_cast<size_t>(a)] < corrected[static_cast<size_t>(b)];
    });
  }
}

Result<std::optional<program::Proposal>> RegionExpert::adapt(
    const std::map<std::string, int64_t>& schedule) {
  const std::optional<program::Proposal> none;
  std::map<std::string, int64_t> own_rules;
  for (const auto& applied : applied_) ++own_rules[applied.rule];
  if (rules_of(schedule) != own_rules) return none;
  Choice choice;
  for (size_t op = 0; op < graph_.ops.size(); ++op) {
    const std::string prefix = knob_prefix(op);
    Schedule wanted;
    for (const auto& [key, value] : schedule)
      if (key.rfind(prefix, 0) == 0) wanted[key.substr(prefix.size())] = value;
    std::optional<int> found;
    for (const Family* family : families_)
      if (schedule.count(family_key(op, family->name())))
        found = nearest_option(op, family->name(), wanted);
    if (!found && has_family(schedule, op)) return none;
    choice.push_back(found.value_or(0));
  }
  // What has no family is left out for a joined op, and nothing else is.
  const std::vector<bool> skipped = left_out(options_of(choice));
  for (size_t op = 0; op < choice.size(); ++op)
    if (skipped[op] == has_family(schedule, op)) return none;
  if (seen_.count(choice)) return none;
  KW_TRY(auto proposal, make(choice));
  return std::optional(std::move(proposal));
}

// The option of a family whose knobs are fewest octaves from those wanted; the first of equals.
std::optional<int> RegionExpert::nearest_option(size_t op, const std::string& family,
                                                const Schedule& wanted) {
  const auto known = std::find_if(ranked_[op].begin(), ranked_[op].end(),
                                  [&](const Option& o) { return o.family->name() == family; });
  if (known == ranked_[op].end()) return std::nullopt;
  Option nearest{known->family, {}, 0, known->joined, 0};
  const rewrite::FusedOp& made = known->joined ? known->joined->op : graph_.ops[op];
  const OpContext context(graph_, made, model_, options_.threads, options_.policy);
  double least = std::numeric_limits<double>::infinity();
  for (Schedule& schedule : enumerate(nearest.family->space(context), kEnumerated)) {
    double apart = 0;
    for (const auto& [knob, value] : schedule)
      if (const auto it = wanted.find(knob); it != wanted.end())
        apart += octaves(value, it->second);
    if (apart >= least || !nearest.family->legal(context, schedule)) continue;
    least = apart;
    nearest.schedule = std::move(schedule);
  }
  for (size_t i = 0; i < ranked_[op].size(); ++i)
    if (distance(ranked_[op][i], nearest) == 0) return static_cast<int>(i);
  // It was ranked too low to be kept.
  nearest.predicted_s = nearest.family->predict_seconds(context, nearest.schedule);
  nearest.ranked_s = nearest.predicted_s + (known->ranked_s - known->predicted_s);
  ranked_[op].push_back(std::move(nearest));
  order_[op].push_back(static_cast<int>(order_[op].size()));
  return order_[op].back();
}

std::optional<RegionExpert::Choice> RegionExpert::next_choice() {
  if (!std::exchange(begun_, true)) {
    const Choice best_ranked(graph_.ops.size(), 0);
    if (!seen_.count(best_ranked)) return best_ranked;
  }
  if (!experience_.best() && experience_.anything_failed()) {
    if (auto choice = all_anew()) return choice;
  }
  // The op on which most is to be won gets most of the attempts.
  std::vector<double> weight;
  const std::vector<bool> skipped = left_out(options_of(base_));
  for (size_t i = 0; i < ranked_.size(); ++i) {
    const bool once = graph_.ops[i].prepared || ranked_[i].size() <= 1 || skipped[i];
    weight.push_back(once ? 0 : to_win(i));
  }
  for (int attempt = 0; attempt < 200; ++attempt) {
    if (std::all_of(weight.begin(), weight.end(), [](double w) { return w <= 0; }))
      return std::nullopt;
    std::discrete_distribution<size_t> pick(weight.begin(), weight.end());
    const size_t op = pick(random_);
    const auto index = next_option(op);
    if (!index) {
      weight[op] = 0;
      continue;
    }
    Choice choice = base_;
    choice[op] = *index;
    if (!seen_.count(choice)) return choice;
  }
  return std::nullopt;
}

// Nothing was right yet: every op that may be the reason is made in another way.
std::optional<RegionExpert::Choice> RegionExpert::all_anew() {
  Choice choice = base_;
  for (size_t op = 0; op < choice.size(); ++op)
    if (const auto index = idea(op)) choice[op] = *index;
  if (seen_.count(choice)) return std::nullopt;
  base_ = choice;
  return choice;
}

// Half of the time a neighbour of the incumbent's schedule; else an idea or, once the order has
// learned, what it puts first. What is left over comes last.
std::optional<int> RegionExpert::next_option(size_t op) {
  const int coin = std::uniform_int_distribution<int>(0, 3)(random_);
  const bool learned = learned_ && learned_->ready();
  auto wanted = coin < 2 ? neighbour(op) : learned && coin == 2 ? promising(op) : idea(op);
  if (!wanted) wanted = promising(op);
  if (wanted) return wanted;
  for (int i : order_[op])
    if (!seen_beside_base(op, i)) return i;
  return std::nullopt;
}

// The best of the order that nothing speaks against.
std::optional<int> RegionExpert::promising(size_t op) const {
  for (int i : order_[op])
    if (!seen_beside_base(op, i) && !left_alone(op, i) && !experience_.failed(op, i)) return i;
  return std::nullopt;
}

// The best-ranked option that differs from the base's in one knob, if there is any in one that
// bears on what holds the op back.
std::optional<int> RegionExpert::neighbour(size_t op) const {
  const bool led = experience_.best() || !experience_.anything_failed();
  if (!led || left_alone(op, base_[op])) return std::nullopt;
  const Limit held_by = limit(op);
  std::optional<int> other;
  for (int i : order_[op]) {
    if (distance(option(op, i), option(op, base_[op])) != 1 || experience_.failed(op, i) ||
        seen_beside_base(op, i))
      continue;
    if (bears_on(op, i, held_by)) return i;
    if (!other) other = i;
  }
  return other;
}

// Whether the one knob in which an option differs from the base's does.
bool RegionExpert::bears_on(size_t op, int index, Limit limit) const {
  if (limit == Limit::kUnknown) return true;
  const Bears wanted = limit == Limit::kMemory ? Bears::kTraffic : Bears::kArithmetic;
  const Option &a = option(op, index), &b = option(op, base_[op]);
  for (const auto& [knob, value] : a.schedule) {
    if (b.schedule.at(knob) == value) continue;
    const Bears bears = bears_.at(a.family).at(knob);
    return bears == Bears::kBoth || bears == wanted;
  }
  return true;
}

// The base's; null: it was not profiled.
const std::vector<OpProfile>* RegionExpert::profile() const {
  const auto it = profiles_.find(base_);
  return it == profiles_.end() ? nullptr : &it->second;
}

// Of each op: seconds in the base, by its profile; what the base leaves out counts as predicted.
std::vector<double> RegionExpert::shares() const {
  std::vector<double> seconds;
  const std::vector<bool> skipped = left_out(options_of(base_));
  for (size_t op = 0; op < base_.size(); ++op)
    seconds.push_back(graph_.ops[op].prepared ? 0
                      : skipped[op]           ? option(op, base_[op]).predicted_s
                                              : (*profile())[op].seconds);
  return seconds;
}

// Of the op, or of the joined one that stands for it in the base.
const graph::Work& RegionExpert::work(size_t op) const {
  const rewrite::JoinedOp* joined = option(op, base_[op]).joined;
  return joined ? joined_work_.at(joined) : work_[op];
}

Limit RegionExpert::limit(size_t op) const {
  return profile() ? limit_of((*profile())[op], work(op), ceilings_) : Limit::kUnknown;
}

// Seconds, by the profile or else by the prediction.
double RegionExpert::to_win(size_t op) const {
  return profile() ? headroom((*profile())[op], work(op), ceilings_)
                   : option(op, base_[op]).predicted_s;
}

// The best-ranked option of a family not tried before, or one that is no neighbour of any tried
// before, since close predictions belong to schedules much alike; then one that is no neighbour of
// what failed.
std::optional<int> RegionExpert::idea(size_t op) const {
  if (const auto other = untried_family(op)) return other;
  std::set<int> failed;
  for (int index : tried_[op])
    if (experience_.failed(op, index)) failed.insert(index);
  for (const std::set<int>* avoided : {&tried_[op], &std::as_const(failed)}) {
    for (int i : order_[op]) {
      if (!left_alone(op, i) && !tried_[op].count(i) && !seen_beside_base(op, i) &&
          nearest(op, i, *avoided) > 1)
        return i;
    }
  }
  return std::nullopt;
}

std::optional<int> RegionExpert::untried_family(size_t op) const {
  for (int i : order_[op]) {
    if (option(op, i).ranked_s > kWorthATry * option(op, 0).ranked_s) continue;
    if (nearest(op, i, tried_[op]) >= kUnrelated && !seen_beside_base(op, i)) return i;
  }
  return std::nullopt;
}

bool RegionExpert::left_alone(size_t op, int index) const {
  return experience_.leave_alone(op, option(op, index).family->name());
}

bool RegionExpert::seen_beside_base(size_t op, int index) const {
  Choice choice = base_;
  choice[op] = index;
  return seen_.count(choice) > 0;
}

int RegionExpert::nearest(size_t op, int index, const std::set<int>& to) const {
  int least = kUnrelated;
  for (int other : to) least = std::min(least, distance(option(op, index), option(op, other)));
  return least;
}

Result<program::Proposal> RegionExpert::make(const Choice& choice) {
  const bool best_ranked = std::all_of(choice.begin(), choice.end(), [](int i) { return i == 0; });
  seen_.insert(choice);
  for (size_t i = 0; i < choice.size(); ++i) tried_[i].insert(choice[i]);
  const std::vector<const Option*> options = options_of(choice);
  const std::vector<bool> skipped = left_out(options);
  program::Proposal proposal;
  for (size_t i = 0; i < choice.size(); ++i) {
    if (skipped[i]) continue;
    const Option& made = *options[i];
    proposal.schedule[family_key(i, made.family->name())] = 1;
    for (const auto& [knob, value] : made.schedule)
      proposal.schedule[knob_prefix(i) + knob] = value;
    const bool changed = choice[i] != base_[i];
    if (changed || choice.size() == 1) {
      proposal.idea +=
          fmt::format("{}{} {}: {}", proposal.idea.empty() ? "" : "; ", made.family->name(),
                      op_title(graph_.ops[i]), schedule_text(made.schedule));
      if (const Limit held_by = limit(i); changed && held_by != Limit::kUnknown)
        proposal.idea += fmt::format(" (held back by {})", limit_name(held_by));
    }
  }
  proposal.predicted_s = total_predicted(choice);
  if (learned_ && learned_->ready())
    proposal.learned_s = learned_->corrected(made_of(choice), proposal.predicted_s);
  for (const auto& applied : applied_) ++proposal.schedule[rule_key(applied)];
  if (proposal.idea.empty())
    proposal.idea = fmt::format("{} for each of {} ops",
                                best_ranked ? "best prediction" : "another way", choice.size());
  KW_TRY(BuiltProgram built,
         build_program(graph_, options, model_, options_.threads, options_.target));
  proposal.candidate = std::move(built.candidate);
  proposal.proposer = "expert";
  if (const auto* best = experience_.best()) proposal.parent = best->id;
  proposed_[program::candidate_id(proposal.candidate)] = {choice, std::move(built.op_of_step)};
  return proposal;
}

}  // namespace kernelwright::expert

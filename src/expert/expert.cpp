// SPDX-License-Identifier: Apache-2.0
#include "expert/expert.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "expert/family.h"
#include "rewrite/fuse.h"

namespace kernelwright::expert {

namespace {

constexpr size_t kEnumerated = 60000;  // schedules ranked per family and op
constexpr size_t kKept = 256;          // of them kept
// A family whose best prediction is within this factor of the op's best gets a try of its own.
constexpr double kWorthATry = 3;

// One way to make one op, or several at once.
struct Option {
  const Family* family = nullptr;
  Schedule schedule;
  double predicted_s = 0;
  const rewrite::JoinedOp* joined = nullptr;  // made in place of its parts
  double ranked_s = 0;  // with what the other parts take where the op is a joined one's last part
};

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

Result<program::Candidate> build(const rewrite::FusedGraph& graph,
                                 const std::vector<const Option*>& choice,
                                 const target::MachineModel& model, int threads,
                                 const std::string& target) {
  ProgramBuilder builder(graph.tensors, target);
  const std::vector<bool> skipped = left_out(choice);
  for (size_t i = 0; i < graph.ops.size(); ++i) {
    if (skipped[i]) continue;
    const rewrite::FusedOp& op = choice[i]->joined ? choice[i]->joined->op : graph.ops[i];
    const OpContext context(graph, op, model, threads);
    builder.begin_op(op);
    KW_CHECK_OK(choice[i]->family->emit(context, choice[i]->schedule, builder));
  }
  return builder.finish();
}

std::string op_title(const rewrite::FusedOp& op) {
  for (const auto& stage : op.stages) {
    if (stage.combiner == graph::Combiner::kSum && op.anchor == rewrite::Anchor::kContraction)
      return stage.origin;
  }
  return op.stages.empty() ? "op" : op.stages.back().origin;
}

class Expert : public program::Proposer {
 public:
  Expert(rewrite::FusedGraph graph, std::vector<rewrite::Applied> applied,
         target::MachineModel model, ExpertOptions options)
      : graph_(std::move(graph)),
        applied_(std::move(applied)),
        model_(std::move(model)),
        options_(std::move(options)),
        families_(families(options_.target)),
        random_(options_.seed) {
    for (const rewrite::FusedOp& op : graph_.ops) rank(op);
    for (const rewrite::JoinedOp& joined : graph_.joined) rank_joined(joined);
    best_choice_.assign(graph_.ops.size(), 0);
    tried_.resize(graph_.ops.size());
  }

  std::string name() const override { return "expert"; }

  Result<std::vector<program::Proposal>> propose(int count) override {
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
    std::stable_sort(proposals.begin(), proposals.end(),
                     [](const auto& a, const auto& b) { return a.predicted_s < b.predicted_s; });
    return proposals;
  }

  void learn(const program::Outcome& outcome) override {
    auto it = choices_.find(outcome.candidate_id);
    if (it == choices_.end() || !outcome.correct || outcome.seconds <= 0) return;
    if (best_s_ == 0 || outcome.seconds < best_s_) {
      best_s_ = outcome.seconds;
      best_choice_ = it->second;
      best_id_ = outcome.candidate_id;
      stale_ = 0;
    } else {
      ++stale_;
    }
  }

 private:
  using Choice = std::vector<int>;  // option index per op

  static void sort_by_prediction(std::vector<Option>& options) {
    std::stable_sort(options.begin(), options.end(),
                     [](const Option& a, const Option& b) { return a.ranked_s < b.ranked_s; });
  }

  std::vector<Option> options_of(const Family* family, const OpContext& context) const {
    std::vector<Option> own;
    for (Schedule& schedule : enumerate(family->space(context), kEnumerated)) {
      if (!family->legal(context, schedule)) continue;
      const double predicted = family->predict_seconds(context, schedule);
      own.push_back({family, std::move(schedule), predicted, nullptr, predicted});
    }
    // Per family: one that predicts too well must not leave the others out.
    sort_by_prediction(own);
    if (own.size() > kKept) own.resize(kKept);
    return own;
  }

  // The joined op's options join those of its last part.
  void rank_joined(const rewrite::JoinedOp& joined) {
    const OpContext context(graph_, joined.op, model_, options_.threads);
    std::vector<Option>& last = ranked_[joined.parts.back()];
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

  void rank(const rewrite::FusedOp& op) {
    const OpContext context(graph_, op, model_, options_.threads);
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

  std::optional<Choice> next_choice() {
    if (seen_.empty()) return Choice(graph_.ops.size(), 0);
    // The op that is expected to cost most gets most of the attempts.
    std::vector<double> weight;
    const std::vector<bool> skipped = left_out(options_of(best_choice_));
    for (size_t i = 0; i < ranked_.size(); ++i) {
      const Option& current = ranked_[i][static_cast<size_t>(best_choice_[i])];
      const bool once = graph_.ops[i].prepared || ranked_[i].size() <= 1 || skipped[i];
      weight.push_back(once ? 0 : current.predicted_s);
    }
    for (int attempt = 0; attempt < 200; ++attempt) {
      if (std::all_of(weight.begin(), weight.end(), [](double w) { return w <= 0; }))
        return std::nullopt;
      std::discrete_distribution<size_t> pick(weight.begin(), weight.end());
      const size_t op = pick(random_);
      auto option = next_option(op);
      if (!option) {
        weight[op] = 0;
        continue;
      }
      Choice choice = best_choice_;
      choice[op] = *option;
      if (!seen_.count(choice)) return choice;
    }
    return std::nullopt;
  }

  // Half of the time a neighbour of the incumbent's schedule; else the best-ranked one of a family
  // not tried before, or one that is no neighbour of any tried before, since close predictions
  // belong to schedules much alike.
  std::optional<int> next_option(size_t op) {
    const auto& options = ranked_[op];
    const int current = best_choice_[op];
    const bool near = std::uniform_int_distribution<int>(0, 1)(random_) == 0;
    if (const auto other = near ? std::nullopt : untried_family(op)) return other;
    const auto gap = [&](int a, int b) {
      return distance(options[static_cast<size_t>(a)], options[static_cast<size_t>(b)]);
    };
    std::optional<int> fallback;
    for (int i = 0; i < static_cast<int>(options.size()); ++i) {
      Choice choice = best_choice_;
      choice[op] = i;
      if (seen_.count(choice)) continue;
      if (!fallback) fallback = i;
      const bool wanted = near ? gap(i, current) == 1
                               : std::none_of(tried_[op].begin(), tried_[op].end(),
                                              [&](int other) { return gap(i, other) <= 1; });
      if (wanted) return i;
    }
    return fallback;
  }

  std::optional<int> untried_family(size_t op) const {
    const auto& options = ranked_[op];
    for (int i = 0; i < static_cast<int>(options.size()); ++i) {
      const Option& option = options[static_cast<size_t>(i)];
      if (option.ranked_s > kWorthATry * options[0].ranked_s) break;
      const bool tried = std::any_of(tried_[op].begin(), tried_[op].end(), [&](int other) {
        return options[static_cast<size_t>(other)].family == option.family;
      });
      Choice choice = best_choice_;
      choice[op] = i;
      if (!tried && !seen_.count(choice)) return i;
    }
    return std::nullopt;
  }

  std::vector<const Option*> options_of(const Choice& choice) const {
    std::vector<const Option*> options;
    for (size_t i = 0; i < choice.size(); ++i)
      options.push_back(&ranked_[i][static_cast<size_t>(choice[i])]);
    return options;
  }

  static int distance(const Option& a, const Option& b) {
    if (a.family != b.family) return 99;
    int differing = 0;
    for (const auto& [knob, value] : a.schedule) differing += b.schedule.at(knob) != value ? 1 : 0;
    return differing;
  }

  Result<program::Proposal> make(const Choice& choice) {
    const bool first = seen_.empty();
    seen_.insert(choice);
    for (size_t i = 0; i < choice.size(); ++i) tried_[i].insert(choice[i]);
    const std::vector<const Option*> options = options_of(choice);
    const std::vector<bool> skipped = left_out(options);
    program::Proposal proposal;
    for (size_t i = 0; i < choice.size(); ++i) {
      if (skipped[i]) continue;
      const Option& option = *options[i];
      if (!graph_.ops[i].prepared) proposal.predicted_s += option.predicted_s;
      for (const auto& [knob, value] : option.schedule)
        proposal.schedule[fmt::format("op{}.{}", i, knob)] = value;
      const bool changed = choice[i] != best_choice_[i];
      if (changed || (first && choice.size() == 1)) {
        proposal.idea +=
            fmt::format("{}{} {}: {}", proposal.idea.empty() ? "" : "; ", option.family->name(),
                        op_title(graph_.ops[i]), schedule_text(option.schedule));
      }
    }
    for (const auto& applied : applied_) ++proposal.schedule[rule_key(applied)];
    if (proposal.idea.empty())
      proposal.idea = fmt::format("best prediction for each of {} ops", choice.size());
    KW_TRY(proposal.candidate, build(graph_, options, model_, options_.threads, options_.target));
    proposal.proposer = "expert";
    proposal.parent = best_id_;
    choices_[program::candidate_id(proposal.candidate)] = choice;
    return proposal;
  }

  rewrite::FusedGraph graph_;
  std::vector<rewrite::Applied> applied_;
  target::MachineModel model_;
  ExpertOptions options_;
  const std::vector<const Family*>& families_;
  std::mt19937_64 random_;
  std::vector<std::vector<Option>> ranked_;  // per op, best prediction first
  std::set<Choice> seen_;
  std::vector<std::set<int>> tried_;       // per op, options proposed so far
  std::map<std::string, Choice> choices_;  // candidate id -> choice
  Choice best_choice_;
  std::string best_id_;
  double best_s_ = 0;
  int stale_ = 0;
};

// The rewritten region and the region as it came, side by side until one measures better.
class TwoForms : public program::Proposer {
 public:
  TwoForms(std::unique_ptr<program::Proposer> rewritten, std::unique_ptr<program::Proposer> plain) {
    forms_[0].expert = std::move(rewritten);
    forms_[1].expert = std::move(plain);
  }

  std::string name() const override { return "expert"; }

  Result<std::vector<program::Proposal>> propose(int count) override {
    if (!begun_) {
      begun_ = true;
      KW_TRY(auto proposals, ask(0, std::max(1, count - 1)));
      if (count > 1) {
        // Second, since the first two are judged however small the budget is.
        KW_TRY(auto plain, ask(1, 1));
        proposals.insert(proposals.begin() + (proposals.empty() ? 0 : 1),
                         std::make_move_iterator(plain.begin()),
                         std::make_move_iterator(plain.end()));
      }
      return proposals;
    }
    const double rewritten = forms_[0].best_s, plain = forms_[1].best_s;
    const int better = plain > 0 ? (rewritten == 0 || plain < rewritten) : forms_[0].wrong > 0;
    KW_TRY(auto proposals, ask(better, count));
    if (proposals.empty()) return ask(1 - better, count);
    return proposals;
  }

  void learn(const program::Outcome& outcome) override {
    for (Form& form : forms_) {
      form.expert->learn(outcome);
      if (!form.made.count(outcome.candidate_id)) continue;
      if (!outcome.correct)
        ++form.wrong;
      else if (form.best_s == 0 || outcome.seconds < form.best_s)
        form.best_s = outcome.seconds;
    }
  }

 private:
  struct Form {
    std::unique_ptr<program::Proposer> expert;
    std::set<std::string> made;  // candidate ids
    double best_s = 0;
    int wrong = 0;
  };

  Result<std::vector<program::Proposal>> ask(int which, int count) {
    Form& form = forms_[which];
    KW_TRY(auto proposals, form.expert->propose(count));
    for (auto& proposal : proposals) {
      form.made.insert(program::candidate_id(proposal.candidate));
      if (which == 0 && form.made.size() == 1) proposal.idea += " (rewritten)";
      if (which == 1) proposal.idea += " (not rewritten)";
    }
    return proposals;
  }

  Form forms_[2];
  bool begun_ = false;
};

constexpr char kRuleKey[] = "rule/";

Result<std::string> known_target(const std::string& wanted) {
  // "cuda:1" is cuda.
  const std::string target = wanted.empty() ? "cpu" : wanted.substr(0, wanted.find(':'));
  if (families(target).empty())
    return fail(ErrorKind::kUsage, fmt::format("the expert has no dialect for {}", target));
  return target;
}

rewrite::FuseOptions fusion_for(const std::string& target) {
  rewrite::FuseOptions fusion;
  if (target == "cuda") {
    // The row family slices rows by itself, and shares them out; a launch costs as much as a small
    // kernel.
    fusion.few_rows = 1;
    fusion.slice_rows = false;
    fusion.siblings = true;
    fusion.packs_operands = false;
  }
  return fusion;
}

graph::DType compute_dtype(const graph::StageGraph& region) {
  const bool wide = std::any_of(region.tensors.begin(), region.tensors.end(),
                                [](const auto& t) { return t.type.dtype == graph::DType::kF64; });
  return wide ? graph::DType::kF64 : graph::DType::kF32;
}

}  // namespace

Result<std::unique_ptr<program::Proposer>> make_expert(const graph::StageGraph& region,
                                                       const target::MachineModel& model,
                                                       const ExpertOptions& options) {
  ExpertOptions settled = options;
  KW_TRY(settled.target, known_target(options.target.empty() ? model.target : options.target));
  const auto form = [&](const rewrite::Rewritten& rewritten) {
    return std::make_unique<Expert>(rewrite::fuse(rewritten.graph, fusion_for(settled.target)),
                                    rewritten.applied, model, settled);
  };
  rewrite::RuleOptions rules;
  rules.ceilings = model.ceilings(compute_dtype(region), settled.policy);
  rules.launch_s = model.launch_s;
  rules.rounding = false;
  const auto plain = rewrite::apply_rules(region, rules);
  rules.rounding = true;
  if (!settled.rewrite) return std::unique_ptr<program::Proposer>(form(plain));
  const auto rewritten = rewrite::apply_rules(region, rules);
  if (!rewritten.rounding) return std::unique_ptr<program::Proposer>(form(plain));
  return std::unique_ptr<program::Proposer>(
      std::make_unique<TwoForms>(form(rewritten), form(plain)));
}

std::string rule_key(const rewrite::Applied& applied) {
  return kRuleKey + applied.rule + "/" + applied.where;
}

std::optional<rewrite::Applied> rule_of_key(const std::string& key) {
  const std::string prefix = kRuleKey;
  if (key.compare(0, prefix.size(), prefix) != 0) return std::nullopt;
  const size_t slash = key.find('/', prefix.size());
  if (slash == std::string::npos) return std::nullopt;
  return rewrite::Applied{key.substr(prefix.size(), slash - prefix.size()), key.substr(slash + 1)};
}

Result<program::Candidate> naive_program(const graph::StageGraph& region,
                                         const ExpertOptions& options) {
  KW_TRY(const std::string target, known_target(options.target));
  const rewrite::FusedGraph graph = rewrite::fuse(region, {.enabled = false});
  const Option general{families(target).back(), {}, 0, nullptr, 0};
  const std::vector<const Option*> choice(graph.ops.size(), &general);
  return build(graph, choice, target::MachineModel{}, options.threads, target);
}

}  // namespace kernelwright::expert

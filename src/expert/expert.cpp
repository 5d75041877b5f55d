// SPDX-License-Identifier: Apache-2.0
#include "expert/expert.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "expert/region_expert.h"

namespace kernelwright::expert {

namespace {

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
    const double rewritten = forms_[0].best_s(), plain = forms_[1].best_s();
    const int better =
        plain > 0 ? (rewritten == 0 || plain < rewritten) : forms_[0].anything_wrong();
    KW_TRY(auto proposals, ask(better, count));
    if (proposals.empty()) return ask(1 - better, count);
    return proposals;
  }

  void learn(const program::Outcome& outcome) override {
    for (Form& form : forms_) {
      form.expert->learn(outcome);
      if (form.made.count(outcome.candidate_id)) form.judged[outcome.candidate_id] = outcome;
    }
  }

  // By the form that came by the same rules.
  Result<std::optional<program::Proposal>> adapt(
      const std::map<std::string, int64_t>& schedule) override {
    for (Form& form : forms_) {
      KW_TRY(auto proposal, form.expert->adapt(schedule));
      if (!proposal) continue;
      form.made.insert(program::candidate_id(proposal->candidate));
      return proposal;
    }
    return std::optional<program::Proposal>();
  }

 private:
  struct Form {
    std::unique_ptr<program::Proposer> expert;
    std::set<std::string> made;                      // candidate ids
    std::map<std::string, program::Outcome> judged;  // the last verdict counts

    // 0: nothing is right.
    double best_s() const {
      double best = 0;
      for (const auto& [id, outcome] : judged)
        if (outcome.correct && (best == 0 || outcome.seconds < best)) best = outcome.seconds;
      return best;
    }
    bool anything_wrong() const {
      return std::any_of(judged.begin(), judged.end(),
                         [](const auto& entry) { return !entry.second.correct; });
    }
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

}  // namespace

Result<std::unique_ptr<program::Proposer>> make_expert(const graph::StageGraph& region,
                                                       const target::MachineModel& model,
                                                       const ExpertOptions& options) {
  ExpertOptions settled = options;
  KW_TRY(settled.target, known_target(options.target.empty() ? model.target : options.target));
  const auto form = [&](const rewrite::Rewritten& rewritten) {
    return std::make_unique<RegionExpert>(
        rewrite::fuse(rewritten.graph, fusion_for(settled.target)), rewritten.applied, model,
        settled);
  };
  rewrite::RuleOptions rules;
  rules.ceilings = model.ceilings(graph::compute_dtype(region.tensors), settled.policy);
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
  KW_TRY(BuiltProgram built,
         build_program(graph, choice, target::MachineModel{}, options.threads, target));
  return std::move(built.candidate);
}

}  // namespace kernelwright::expert

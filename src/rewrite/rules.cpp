// SPDX-License-Identifier: Apache-2.0
#include "rewrite/rules.h"

#include <algorithm>

#include "graph/loop.h"
#include "rewrite/convolution.h"
#include "rewrite/fuse.h"
#include "rewrite/terms.h"

namespace kernelwright::rewrite {

using graph::Stage;
using graph::StageGraph;

namespace {

constexpr size_t kMostRewrites = 256;
// The prediction's own error: a change that adds kernels has to promise more than this.
constexpr double kWorthwhile = 0.9;

bool same_stage(const Stage& a, const Stage& b) {
  return a.output == b.output && a.body == b.body && a.finish == b.finish;
}

// Loops stay as they are: whether their stages do, in the same order and side by side.
bool keeps_loops(const StageGraph& before, const StageGraph& after) {
  size_t at = 0;
  for (const Stage& old : before.stages) {
    if (old.loop < 0) continue;
    while (at < after.stages.size() && after.stages[at].loop < 0) ++at;
    if (at == after.stages.size()) return false;
    const Stage& fresh = after.stages[at++];
    if (fresh.loop != old.loop || fresh.output != old.output ||
        !graph::same(old.body, fresh.body) || !graph::same(old.finish, fresh.finish))
      return false;
  }
  return graph::check_loops(after.stages, after.tensors).has_value();
}

// The graph with a rule applied at a stage; nullopt where it does not hold, or is about a loop.
std::optional<StageGraph> applied(const Rule& rule, const StageGraph& graph, size_t stage,
                                  const std::vector<bool>& fixed) {
  if (graph.stages[stage].loop >= 0) return std::nullopt;
  auto out = rule.apply(graph, stage, fixed);
  if (out && !keeps_loops(graph, *out)) return std::nullopt;
  return out;
}

struct Cost {
  double seconds = 0;
  int kernels = 0;
};

// Predicted time of the stages that `other` does not have; what comes of weights alone is made
// once.
Cost cost_beside(const StageGraph& graph, const StageGraph& other, const RuleOptions& options) {
  const auto fixed = from_weights(graph.tensors, graph.stages);
  Cost cost;
  for (const Stage& stage : graph.stages) {
    const bool shared = std::any_of(other.stages.begin(), other.stages.end(),
                                    [&](const Stage& theirs) { return same_stage(stage, theirs); });
    if (shared || fixed[static_cast<size_t>(stage.output)]) continue;
    const auto light =
        graph::speed_of_light(graph::count_stage_work(graph, stage), options.ceilings);
    cost.seconds += light.memory_s + light.compute_s + options.launch_s;
    ++cost.kernels;
  }
  return cost;
}

// Share of the old time that is left; nullopt when it does not pay.
std::optional<double> gain(const StageGraph& before, const StageGraph& after,
                           const RuleOptions& options) {
  const Cost old = cost_beside(before, after, options), fresh = cost_beside(after, before, options);
  const double share = old.seconds > 0 ? fresh.seconds / old.seconds : 1;
  if (options.always || share < (fresh.kernels > old.kernels ? kWorthwhile : 1)) return share;
  return std::nullopt;
}

class Rewriting {
 public:
  Rewriting(const StageGraph& graph, const RuleOptions& options) : options_(options) {
    become(graph);
  }

  Rewritten run() {
    exhaust(true);
    inline_points();
    if (options_.rounding) {
      while (improve()) {
      }
    }
    exhaust(true);
    drop_dead(out_.graph);
    return std::move(out_);
  }

 private:
  void become(StageGraph graph) {
    out_.graph = std::move(graph);
    fixed_ = from_weights(out_.graph.tensors, out_.graph.stages);
  }

  void inline_points() {
    StageGraph graph = out_.graph;
    graph.stages = inline_stages(graph, {.packs_operands = false});
    become(std::move(graph));
  }

  void take(const Rule& rule, size_t stage, StageGraph graph) {
    out_.applied.push_back({rule.name, out_.graph.stages[stage].origin});
    out_.rounding |= !rule.exact;
    become(std::move(graph));
  }

  // Exact rules make work less wherever they hold.
  void exhaust(bool exact) {
    for (bool changed = true; changed && out_.applied.size() < kMostRewrites;) {
      changed = false;
      for (const Rule& rule : rules()) {
        if (rule.exact != exact) continue;
        for (size_t s = 0; s < out_.graph.stages.size(); ++s) {
          auto graph = applied(rule, out_.graph, s, fixed_);
          if (!graph) continue;
          drop_dead(*graph);
          take(rule, s, std::move(*graph));
          changed = true;
        }
      }
    }
  }

  // The rule that leaves the least of its stages' time.
  bool improve() {
    if (out_.applied.size() >= kMostRewrites) return false;
    const Rule* best = nullptr;
    size_t where = 0;
    double least = 0;
    StageGraph chosen;
    for (const Rule& rule : rules()) {
      if (rule.exact) continue;
      for (size_t s = 0; s < out_.graph.stages.size(); ++s) {
        auto graph = applied(rule, out_.graph, s, fixed_);
        if (!graph) continue;
        drop_dead(*graph);
        const auto share = gain(out_.graph, *graph, options_);
        if (!share || (best && *share >= least)) continue;
        best = &rule;
        where = s;
        least = *share;
        chosen = std::move(*graph);
      }
    }
    if (best) take(*best, where, std::move(chosen));
    return best != nullptr;
  }

  const RuleOptions& options_;
  Rewritten out_;
  std::vector<bool> fixed_;
};

}  // namespace

const std::vector<Rule>& rules() {
  static const std::vector<Rule> table = [] {
    std::vector<Rule> all;
    add_point_rules(all);
    add_sum_rules(all);
    return all;
  }();
  return table;
}

Rewritten apply_rules(const StageGraph& graph, const RuleOptions& options) {
  return Rewriting(graph, options).run();
}

namespace {

// As it stands, convolutions by minimal filtering.
graph::Work filtered_work(const StageGraph& graph) {
  graph::Work work = graph::count_work(graph);
  for (const Stage& stage : graph.stages) {
    if (can_be_filtered(stage, graph.tensors))
      work.contraction_flops -=
          (1 - kFilteredShare) * graph::count_stage_work(graph, stage).contraction_flops;
  }
  return work;
}

}  // namespace

graph::Work least_work(const StageGraph& graph, const graph::Ceilings& ceilings) {
  graph::Work least = filtered_work(graph);
  double seconds = graph::speed_of_light(least, ceilings).seconds;
  for (const bool rounding : {false, true}) {
    RuleOptions options;
    options.ceilings = ceilings;
    options.rounding = rounding;
    StageGraph form = apply_rules(graph, options).graph;
    const auto fixed = from_weights(form.tensors, form.stages);
    std::erase_if(form.stages, [&](const Stage& stage) {
      if (!fixed[static_cast<size_t>(stage.output)]) return false;
      form.tensors[static_cast<size_t>(stage.output)].role = graph::TensorRole::kWeight;
      return true;
    });
    const graph::Work work = filtered_work(form);
    const double time = graph::speed_of_light(work, ceilings).seconds;
    if (time < seconds) least = work;
    seconds = std::min(seconds, time);
  }
  return least;
}

}  // namespace kernelwright::rewrite

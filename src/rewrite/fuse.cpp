// SPDX-License-Identifier: Apache-2.0
#include "rewrite/fuse.h"

#include <algorithm>
#include <functional>
#include <set>

#include "graph/loop.h"
#include "rewrite/attention.h"
#include "rewrite/contraction.h"
#include "rewrite/nest.h"
#include "rewrite/row_group.h"
#include "rewrite/slices.h"
#include "rewrite/terms.h"

namespace kernelwright::rewrite {

using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::Stage;
using graph::StageTensor;
using graph::TensorRole;

namespace {

// Arithmetic that may be done again per element before a trip through memory is the better deal.
constexpr double kRecomputeBudget = 5;
// A dearer producer of a contraction's operand is stored: packing repeats it for every block.
constexpr double kOperandBudget = 8;

void add_unique(std::vector<int>& list, int value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

// Distinct loads of a tensor (or of all, tensor -1) in an expression.
std::vector<Expr> distinct_loads(const Expr& root, int tensor) {
  std::vector<Expr> found;
  if (!root) return found;
  std::set<const ExprNode*> seen;
  std::function<void(const Expr&)> walk = [&](const Expr& expr) {
    if (!seen.insert(expr.get()).second) return;
    for (const Expr& operand : expr->operands) walk(operand);
    if (expr->op != ExprOp::kLoad || (tensor >= 0 && expr->tensor != tensor)) return;
    const bool known = std::any_of(found.begin(), found.end(),
                                   [&](const Expr& other) { return graph::same(other, expr); });
    if (!known) found.push_back(expr);
  };
  walk(root);
  return found;
}

std::vector<int> tensors_read(const Stage& stage) {
  std::vector<int> tensors;
  for (const Expr& expr : {stage.body, stage.finish}) {
    for (const Expr& load : distinct_loads(expr, -1)) add_unique(tensors, load->tensor);
  }
  return tensors;
}

class Fuser {
 public:
  Fuser(const graph::StageGraph& graph, const FuseOptions& options)
      : graph_(graph),
        options_(options),
        stages_(graph.stages),
        fixed_(from_weights(graph.tensors, graph.stages)) {
    for (const Stage& stage : stages_) reads_.push_back(tensors_read(stage));
  }

  std::vector<Stage> run() {
    for (int round = 0; round < 8; ++round) {
      bool changed = inline_all([](const Inlining& i) { return i.cost == 0; });
      changed |= inline_all(
          [](const Inlining& i) { return !i.into_anchor && i.extra <= kRecomputeBudget; });
      changed |= finish_anchors();
      changed |= inline_all([](const Inlining& i) {
        return i.extra <= kRecomputeBudget && (!i.into_contraction || i.cost <= kOperandBudget);
      });
      if (!changed) break;
    }
    return stages_;
  }

 private:
  struct Inlining {
    double cost = 0;   // arithmetic per element of the producer
    double extra = 0;  // arithmetic that is repeated, per element of the producer
    bool into_anchor = false;
    bool into_contraction = false;
  };

  const StageTensor& tensor(int index) const { return graph_.tensors[static_cast<size_t>(index)]; }
  bool temporary(int index) const { return tensor(index).role == TensorRole::kTemporary; }
  std::vector<int64_t> extents(const Stage& stage) const {
    return graph::axis_extents(graph_, stage);
  }

  std::vector<size_t> readers(int of) const {
    std::vector<size_t> found;
    for (size_t i = 0; i < stages_.size(); ++i) {
      const auto& read = reads_[i];
      if (std::find(read.begin(), read.end(), of) != read.end()) found.push_back(i);
    }
    return found;
  }

  bool reads_state(const Stage& stage) const {
    for (int read : tensors_read(stage)) {
      if (tensor(read).role == TensorRole::kState) return true;
    }
    return false;
  }

  Inlining weigh(const Stage& producer, const std::vector<size_t>& to) const {
    Inlining inlining;
    const double elements =
        std::max<double>(1, static_cast<double>(tensor(producer.output).type.elements()));
    inlining.cost =
        arithmetic_cost(producer.body) +
        std::max<double>(0, static_cast<double>(distinct_loads(producer.body, -1).size()) - 1);
    double evaluations = 0;
    for (size_t r : to) {
      const Stage& reader = stages_[r];
      const auto all = extents(reader);
      const bool contraction = match_contraction(reader, graph_.tensors).has_value();
      for (const Expr& expr : {reader.body, reader.finish}) {
        for (const Expr& load : distinct_loads(expr, producer.output)) {
          // Packing an operand runs over its own axes only; elsewhere what depends on an axis is
          // computed again for every point of the axes outside of it.
          double points = 1, up_to_here = 1;
          const auto used = axes_used(load, static_cast<int>(all.size()));
          for (size_t a = 0; a < all.size(); ++a) {
            up_to_here *= contraction && !used[a] ? 1 : static_cast<double>(all[a]);
            if (used[a]) points = up_to_here;
          }
          evaluations += points;
        }
      }
      if (reader.combiner != Combiner::kNone) inlining.into_anchor = true;
      inlining.into_contraction |= contraction;
    }
    inlining.extra = inlining.cost * std::max(0.0, evaluations / elements - 1);
    return inlining;
  }

  template <class Rule>
  bool inline_all(Rule rule) {
    bool changed = false;
    for (size_t p = 0; p < stages_.size();) {
      const Stage producer = stages_[p];
      if (!temporary(producer.output)) {
        ++p;
        continue;
      }
      const std::vector<size_t> to = readers(producer.output);
      const bool dead = to.empty();
      bool fits = !dead && producer.combiner == Combiner::kNone && !reads_state(producer) &&
                  loop_allows(producer, to);
      if (fits) {
        const Inlining inlining = weigh(producer, to);
        fits = rule(inlining) && !better_prepared(producer, inlining, to);
      }
      if (!dead && !fits) {
        ++p;
        continue;
      }
      for (size_t r : to) {
        substitute(stages_[r], producer);
        reads_[r] = tensors_read(stages_[r]);
      }
      erase(p);
      changed = true;
    }
    return changed;
  }

  // What a loop makes goes only where it is read at the same step of the same loop.
  bool loop_allows(const Stage& producer, const std::vector<size_t>& to) const {
    if (producer.loop < 0) return true;
    return std::all_of(to.begin(), to.end(), [&](size_t r) {
      if (stages_[r].loop != producer.loop) return false;
      for (const Expr& expr : {stages_[r].body, stages_[r].finish}) {
        for (const Expr& load : distinct_loads(expr, producer.output))
          if (graph::steps_back(*load) != 0) return false;
      }
      return true;
    });
  }

  void erase(size_t at) {
    stages_.erase(stages_.begin() + static_cast<std::ptrdiff_t>(at));
    reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void substitute(Stage& reader, const Stage& producer) const {
    const auto all = extents(reader);
    for (Expr* expr : {&reader.body, &reader.finish}) {
      if (!*expr) continue;
      Expr inlined = graph::rewrite_loads(*expr, [&](const ExprNode& node) -> Expr {
        if (node.tensor != producer.output) return nullptr;
        return as_stored(graph::substitute_axes(producer.body, node.operands),
                         tensor(producer.output).type.dtype);
      });
      *expr = graph::simplify_index(inlined, all);
    }
  }

  // A pointwise stage that alone reads an anchor, every element once, becomes the anchor's finish.
  bool finish_anchors() {
    bool changed = false;
    for (size_t r = 0; r < stages_.size();) {
      if (stages_[r].combiner != Combiner::kNone && temporary(stages_[r].output) &&
          finish_anchor(r))
        changed = true;
      else
        ++r;
    }
    return changed;
  }

  bool finish_anchor(size_t r) {
    const Stage anchor = stages_[r];
    const std::vector<size_t> to = readers(anchor.output);
    if (to.size() != 1 || stages_[to[0]].combiner != Combiner::kNone) return false;
    Stage& reader = stages_[to[0]];
    if (reader.loop != anchor.loop || !loop_allows(anchor, to)) return false;
    const auto loads = distinct_loads(reader.body, anchor.output);
    if (loads.size() != 1 || !covers(reader, anchor.output)) return false;
    // The anchor's axes in terms of the reader's.
    const size_t reader_rank = tensor(reader.output).type.shape.size();
    std::vector<Expr> axes(loads[0]->operands.begin(), loads[0]->operands.end());
    for (size_t j = 0; j < anchor.reduce.size(); ++j)
      axes.push_back(graph::axis(static_cast<int>(reader_rank + j)));
    Stage merged = reader;
    merged.reduce = anchor.reduce;
    merged.combiner = anchor.combiner;
    const auto all = extents(merged);
    merged.body = graph::simplify_index(graph::substitute_axes(anchor.body, axes), all);
    const bool arg = anchor.combiner == Combiner::kArgMax || anchor.combiner == Combiner::kArgMin;
    Expr value = anchor.finish ? graph::substitute_axes(anchor.finish, axes)
                               : graph::reduced(arg ? graph::ScalarKind::kInt : anchor.body->kind);
    value = as_stored(value, tensor(anchor.output).type.dtype);
    merged.finish = graph::simplify_index(
        graph::rewrite_loads(reader.body,
                             [&](const ExprNode& node) -> Expr {
                               return node.tensor == anchor.output ? value : nullptr;
                             }),
        all);
    merged.origin = anchor.origin;
    reader = std::move(merged);
    reads_[to[0]] = tensors_read(reader);
    erase(r);
    return true;
  }

  // Whether the stage reads every element of the tensor exactly once, each at another point.
  bool covers(const Stage& reader, int of) const {
    const Nest nest = make_nest(reader, graph_.tensors, false);
    const auto loads = distinct_loads(nest.body, of);
    if (loads.size() != 1 || nest.outer_points() != tensor(of).type.elements()) return false;
    const auto affine = affine_of(nest, loads[0]->operands[0]);
    if (!affine || affine->constant != 0) return false;
    std::vector<std::pair<int64_t, int64_t>> radix;
    for (int a = 0; a < nest.outer; ++a) {
      const auto at = static_cast<size_t>(a);
      if (nest.extents[at] > 1) radix.emplace_back(affine->coefficients[at], nest.extents[at]);
    }
    std::sort(radix.begin(), radix.end());
    int64_t next = 1;
    for (const auto& [coefficient, extent] : radix) {
      if (coefficient != next) return false;
      next *= extent;
    }
    return true;
  }

  // Made of weights, with work that is done once if it is stored and not larger than what it is
  // made of.
  bool better_prepared(const Stage& producer, const Inlining& inlining,
                       const std::vector<size_t>& to) const {
    if (!fixed_[static_cast<size_t>(producer.output)] || inlining.cost <= 0) return false;
    const bool finishes = std::any_of(to.begin(), to.end(), [&](size_t r) {
      return !distinct_loads(stages_[r].finish, producer.output).empty();
    });
    if (options_.packs_operands && inlining.into_contraction && !finishes) return false;
    if (std::all_of(to.begin(), to.end(),
                    [&](size_t r) { return fixed_[static_cast<size_t>(stages_[r].output)]; }))
      return false;
    int64_t largest = 0;
    for (int read : tensors_read(producer))
      largest = std::max(largest, tensor(read).type.elements());
    return tensor(producer.output).type.elements() <= largest;
  }

  const graph::StageGraph& graph_;
  const FuseOptions& options_;
  std::vector<Stage> stages_;
  std::vector<std::vector<int>> reads_;  // tensors_read of each stage
  std::vector<bool> fixed_;
};

// Takes pointwise stages into a row group that only the group reads: their values stay near instead
// of passing through memory.
void take_producers(RowGroup& group, std::vector<size_t>& members, const std::vector<bool>& taken,
                    std::vector<std::vector<size_t>>& groups, const std::vector<Stage>& stages,
                    const std::vector<StageTensor>& tensors) {
  for (size_t at = groups.size(); at-- > 0;) {
    if (groups[at].size() != 1) continue;
    const size_t p = groups[at][0];
    const Stage& producer = stages[p];
    if (producer.loop >= 0 || producer.combiner != Combiner::kNone || taken[p] ||
        tensors[static_cast<size_t>(producer.output)].role != TensorRole::kTemporary)
      continue;
    bool ours = false, others = false;
    for (size_t j = 0; j < stages.size(); ++j) {
      const auto read = tensors_read(stages[j]);
      if (std::find(read.begin(), read.end(), producer.output) == read.end()) continue;
      const bool member = std::find(members.begin(), members.end(), j) != members.end();
      ours |= member;
      others |= !member;
    }
    if (!ours || others || !join_row_producer(group, producer, tensors)) continue;
    members.insert(members.begin(), p);
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

// Which stages go together: one op per stage, but for row groups.
std::vector<std::vector<size_t>> group_rows(const std::vector<Stage>& stages,
                                            const std::vector<StageTensor>& tensors,
                                            int64_t few_rows) {
  std::vector<std::vector<size_t>> groups;
  std::vector<bool> taken(stages.size(), false);
  for (size_t i = 0; i < stages.size(); ++i) {
    if (taken[i]) continue;
    std::vector<size_t> members = {i};
    if (stages[i].loop >= 0) {
      while (members.back() + 1 < stages.size() &&
             stages[members.back() + 1].loop == stages[i].loop) {
        members.push_back(members.back() + 1);
        taken[members.back()] = true;
      }
      groups.push_back(std::move(members));
      continue;
    }
    auto group = start_row_group(stages[i], tensors);
    const bool arg =
        stages[i].combiner == Combiner::kArgMax || stages[i].combiner == Combiner::kArgMin;
    if (group && !arg && !match_contraction(stages[i], tensors) &&
        (group->rows() >= few_rows || group->row_length() < kLongRow)) {
      std::set<int> outside;  // made after the group, by stages that are not in it
      for (size_t j = i + 1; j < stages.size(); ++j) {
        if (taken[j]) continue;
        const auto read = tensors_read(stages[j]);
        const bool late =
            std::any_of(read.begin(), read.end(), [&](int t) { return outside.count(t) != 0; });
        const bool inside =
            std::any_of(read.begin(), read.end(), [&](int t) { return group->find(t) != nullptr; });
        if (!late && !inside) continue;
        const bool arg_stage =
            stages[j].combiner == Combiner::kArgMax || stages[j].combiner == Combiner::kArgMin;
        const bool state =
            tensors[static_cast<size_t>(stages[j].output)].role == TensorRole::kState;
        if (!late && !arg_stage && stages[j].loop < 0 && !state &&
            !match_contraction(stages[j], tensors) && join_row_group(*group, stages[j], tensors)) {
          members.push_back(j);
          taken[j] = true;
        } else {
          outside.insert(stages[j].output);
        }
      }
      take_producers(*group, members, taken, groups, stages, tensors);
    }
    groups.push_back(std::move(members));
  }
  return groups;
}

// Whether a stage reads the tensors that `made` writes at the point at hand only.
bool reads_in_place(const Stage& reader, const Stage& made) {
  for (const Expr& load : distinct_loads(reader.body, made.output)) {
    for (size_t d = 0; d < load->operands.size(); ++d) {
      if (load->operands[d]->op != ExprOp::kAxis || load->operands[d]->axis != static_cast<int>(d))
        return false;
    }
  }
  return true;
}

// Joins pointwise stages over the same points that read each other or the same tensors, unless
// something outside stands between them.
void join_siblings(std::vector<std::vector<size_t>>& groups, const std::vector<Stage>& stages,
                   const std::vector<StageTensor>& tensors) {
  constexpr size_t kMostOutputs = 8;
  auto plain = [&](const std::vector<size_t>& group) {
    return std::all_of(group.begin(), group.end(), [&](size_t i) {
      return stages[i].combiner == Combiner::kNone && stages[i].loop < 0 &&
             tensors[static_cast<size_t>(stages[i].output)].role != TensorRole::kState;
    });
  };
  auto read_by = [&](const std::vector<size_t>& group) {
    std::vector<int> all;
    for (size_t i : group) {
      for (int tensor : tensors_read(stages[i])) add_unique(all, tensor);
    }
    return all;
  };
  auto makes_one_of = [&](const std::vector<size_t>& group, const std::vector<int>& wanted) {
    return std::any_of(group.begin(), group.end(), [&](size_t i) {
      return std::find(wanted.begin(), wanted.end(), stages[i].output) != wanted.end();
    });
  };
  // Whether group `from` is read by group `to` through groups other than these two.
  auto between = [&](size_t from, size_t to) {
    std::vector<size_t> open = {to};
    std::set<size_t> seen = {from, to};
    while (!open.empty()) {
      const auto read = read_by(groups[open.back()]);
      const bool direct = open.back() == to;
      open.pop_back();
      if (!direct && makes_one_of(groups[from], read)) return true;
      for (size_t g = 0; g < groups.size(); ++g) {
        if (!seen.count(g) && makes_one_of(groups[g], read)) {
          seen.insert(g);
          open.push_back(g);
        }
      }
    }
    return false;
  };
  for (size_t a = 0; a < groups.size(); ++a) {
    for (size_t b = a + 1; b < groups.size();) {
      bool fits = plain(groups[a]) && plain(groups[b]) &&
                  groups[a].size() + groups[b].size() <= kMostOutputs;
      if (fits) {
        const auto mine = read_by(groups[a]), theirs = read_by(groups[b]);
        const bool shared = makes_one_of(groups[a], theirs) ||
                            std::any_of(theirs.begin(), theirs.end(), [&](int tensor) {
                              return std::find(mine.begin(), mine.end(), tensor) != mine.end();
                            });
        const Stage& first = stages[groups[a][0]];
        fits = shared && !makes_one_of(groups[b], mine) && !between(a, b) && !between(b, a);
        for (size_t j : groups[b]) {
          fits = fits && make_nest(stages[j], tensors, false).extents ==
                             make_nest(first, tensors, false).extents;
          for (size_t i : groups[a]) fits = fits && reads_in_place(stages[j], stages[i]);
        }
      }
      if (!fits) {
        ++b;
        continue;
      }
      groups[a].insert(groups[a].end(), groups[b].begin(), groups[b].end());
      groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(b));
    }
  }
}

Anchor anchor_of(const std::vector<Stage>& stages, const std::vector<StageTensor>& tensors) {
  if (stages[0].loop >= 0) return Anchor::kLoop;
  const bool points = std::all_of(stages.begin(), stages.end(), [](const Stage& stage) {
    return stage.combiner == Combiner::kNone;
  });
  if (points) return Anchor::kPointwise;
  if (stages.size() > 1) return Anchor::kRow;
  return match_contraction(stages[0], tensors) ? Anchor::kContraction : Anchor::kReduction;
}

// Orders ops so that every tensor is made before it is read and a state is read before it is
// replaced.
std::vector<FusedOp> sorted(std::vector<FusedOp> ops, const std::vector<StageTensor>& tensors) {
  auto contains = [](const std::vector<int>& list, int value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  std::vector<FusedOp> order;
  std::vector<bool> placed(ops.size(), false);
  for (size_t step = 0; step < ops.size(); ++step) {
    for (size_t i = 0; i < ops.size(); ++i) {
      if (placed[i]) continue;
      bool ready = true;
      for (size_t j = 0; j < ops.size() && ready; ++j) {
        if (j == i || placed[j]) continue;
        for (int made : ops[j].outputs) {
          const bool state = tensors[static_cast<size_t>(made)].role == TensorRole::kState;
          if (!state && contains(ops[i].inputs, made)) ready = false;
        }
        for (int made : ops[i].outputs) {
          const bool state = tensors[static_cast<size_t>(made)].role == TensorRole::kState;
          if (state && contains(ops[j].inputs, made)) ready = false;
        }
      }
      if (!ready) continue;
      placed[i] = true;
      order.push_back(ops[i]);
      break;
    }
  }
  return order;
}

// Ops whose results follow from weights alone. What is handed back is made at every call.
void mark_prepared(FusedGraph& fused, const std::vector<Stage>& stages, bool enabled) {
  const auto follows = from_weights(fused.tensors, stages);
  fused.fixed = from_weights(fused.tensors, {});
  if (!enabled) return;
  for (FusedOp& op : fused.ops) {
    op.prepared = std::all_of(op.stages.begin(), op.stages.end(), [&](const Stage& stage) {
      return follows[static_cast<size_t>(stage.output)];
    });
    if (!op.prepared) continue;
    for (int made : op.outputs) fused.fixed[static_cast<size_t>(made)] = true;
  }
}

}  // namespace

std::vector<Stage> inline_stages(const graph::StageGraph& graph, const FuseOptions& options) {
  return Fuser(graph, options).run();
}

FusedGraph fuse(const graph::StageGraph& graph, const FuseOptions& options) {
  FusedGraph fused;
  fused.tensors = graph.tensors;
  std::vector<Stage> stages = options.enabled ? Fuser(graph, options).run() : graph.stages;
  if (options.enabled && options.slice_rows)
    split_long_reductions(stages, fused.tensors, options.few_rows);
  std::vector<std::vector<size_t>> groups;
  if (options.enabled) {
    groups = group_rows(stages, fused.tensors, options.few_rows);
    if (options.siblings) join_siblings(groups, stages, fused.tensors);
  } else {
    for (size_t i = 0; i < stages.size(); ++i) {
      if (i > 0 && stages[i].loop >= 0 && stages[i].loop == stages[i - 1].loop)
        groups.back().push_back(i);
      else
        groups.push_back({i});
    }
  }
  std::vector<FusedOp> ops;
  for (const auto& members : groups) {
    FusedOp op;
    for (size_t i : members) op.stages.push_back(stages[i]);
    op.anchor = anchor_of(op.stages, fused.tensors);
    std::vector<int> made;
    if (op.anchor == Anchor::kLoop) {
      const auto& shape = fused.tensors[static_cast<size_t>(op.stages[0].output)].type.shape;
      op.steps = shape[0];
      // A stage may read what a later one made a step before.
      for (const Stage& stage : op.stages) made.push_back(stage.output);
    }
    for (const Stage& stage : op.stages) {
      for (int read : tensors_read(stage)) {
        if (std::find(made.begin(), made.end(), read) == made.end()) add_unique(op.inputs, read);
      }
      add_unique(made, stage.output);
    }
    for (int tensor : made) {
      bool wanted = fused.tensors[static_cast<size_t>(tensor)].role != TensorRole::kTemporary;
      for (size_t j = 0; j < stages.size() && !wanted; ++j) {
        if (std::find(members.begin(), members.end(), j) != members.end()) continue;
        const auto read = tensors_read(stages[j]);
        wanted = std::find(read.begin(), read.end(), tensor) != read.end();
      }
      if (wanted) op.outputs.push_back(tensor);
    }
    ops.push_back(std::move(op));
  }
  fused.ops = sorted(std::move(ops), fused.tensors);
  mark_prepared(fused, stages, options.enabled);
  if (options.enabled) join_attention(fused, stages);
  return fused;
}

}  // namespace kernelwright::rewrite

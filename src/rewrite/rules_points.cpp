// SPDX-License-Identifier: Apache-2.0
// Rules that look at one element at a time, and at stages that say the same.
#include <algorithm>
#include <set>
#include <unordered_map>

#include "rewrite/rules.h"
#include "rewrite/terms.h"

namespace kernelwright::rewrite {

using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;
using graph::Stage;
using graph::StageGraph;
using graph::TensorRole;

namespace {

// The graph with the rule applied to every node of a stage's expressions; nullopt when none
// changes.
template <class Rule>
std::optional<StageGraph> change_nodes(const StageGraph& graph, size_t at, Rule rule) {
  Stage stage = graph.stages[at];
  bool changed = false;
  for (Expr* expr : {&stage.body, &stage.finish}) {
    if (!*expr) continue;
    *expr = graph::rewrite(*expr, [&](const Expr& node) -> Expr {
      Expr replaced = rule(graph, node);
      changed |= replaced != nullptr;
      return replaced;
    });
  }
  if (!changed) return std::nullopt;
  StageGraph out = graph;
  out.stages[at] = std::move(stage);
  return out;
}

// A bound of min or max: the constant operand, and the other one. NaN is no bound.
std::optional<std::pair<double, Expr>> bound(const Expr& e) {
  for (const int side : {1, 0}) {
    const Expr& constant = e->operands[static_cast<size_t>(side)];
    if (constant->op == ExprOp::kConst && constant->kind == ScalarKind::kReal &&
        constant->real_value == constant->real_value)
      return std::pair(constant->real_value, e->operands[static_cast<size_t>(1 - side)]);
  }
  return std::nullopt;
}

// clamp after clamp.
// max(max(x, a), b) = max(x, max(a, b)), min alike: max is associative, also for NaN, which both
// sides give. max(min(x, a), b) = min(max(x, b), a) when b <= a: a number x ends in [b, a] on both
// sides; NaN stays. Infinities are numbers here. Condition: bounds are constants, b <= a.
Expr merge_clamps(const StageGraph&, const Expr& e) {
  if ((e->op != ExprOp::kMin && e->op != ExprOp::kMax) || e->kind != ScalarKind::kReal)
    return nullptr;
  const auto outer = bound(e);
  if (!outer) return nullptr;
  const Expr& x = outer->second;
  if (x->op != ExprOp::kMin && x->op != ExprOp::kMax) return nullptr;
  const auto inner = bound(x);
  if (!inner) return nullptr;
  if (x->op == e->op) {
    const bool greater =
        e->op == ExprOp::kMax ? outer->first > inner->first : outer->first < inner->first;
    return graph::binary(e->op, inner->second,
                         graph::constant(greater ? outer->first : inner->first));
  }
  // max goes inside, so that equal ones meet.
  if (e->op == ExprOp::kMax && outer->first <= inner->first &&
      (inner->second->op == ExprOp::kMax || inner->second->op == ExprOp::kMin))
    return graph::binary(ExprOp::kMin,
                         graph::binary(ExprOp::kMax, inner->second, graph::constant(outer->first)),
                         graph::constant(inner->first));
  return nullptr;
}

bool is_cast_of_own_type(const StageGraph& graph, const Expr& e) {
  return e->op == ExprOp::kCast && e->operands[0]->op == ExprOp::kLoad &&
         e->kind == e->operands[0]->kind &&
         graph.tensors[static_cast<size_t>(e->operands[0]->tensor)].type.dtype == e->dtype;
}

// What changes no input, whatever it is: -(-x), max(x, x), min(x, x), a choice between equals, a
// cast of an element to its own type, |-x| = ||x|| = |x|. (x + 0, x * 0 and x - x are not among
// them: -0, NaN and infinity tell them apart. x * 1 and x - 0 never come to be, expr.cpp.)
Expr drop_noop(const StageGraph& graph, const Expr& e) {
  if (e->operands.empty()) return nullptr;
  const Expr& x = e->operands[0];
  if (is_cast_of_own_type(graph, e)) return x;
  if (e->op == ExprOp::kNeg && x->op == ExprOp::kNeg) return x->operands[0];
  if (e->op == ExprOp::kAbs && (x->op == ExprOp::kNeg || x->op == ExprOp::kAbs))
    return graph::unary(ExprOp::kAbs, x->operands[0]);
  if ((e->op == ExprOp::kMin || e->op == ExprOp::kMax) && graph::same(x, e->operands[1])) return x;
  if (e->op == ExprOp::kSelect && e->operands[1]->kind == e->operands[2]->kind &&
      graph::same(e->operands[1], e->operands[2]))
    return e->operands[1];
  return nullptr;
}

std::optional<StageGraph> clamps_merged(const StageGraph& graph, size_t stage,
                                        const std::vector<bool>&) {
  return change_nodes(graph, stage, merge_clamps);
}
std::optional<StageGraph> noops_removed(const StageGraph& graph, size_t stage,
                                        const std::vector<bool>&) {
  return change_nodes(graph, stage, drop_noop);
}

// A reduction over one point is that point: sum, product, maximum, minimum of one value. (A sum
// that starts from +0 makes +0 of -0; both count as 0.) Condition: every reduced extent is 1.
std::optional<StageGraph> single_point(const StageGraph& graph, size_t at,
                                       const std::vector<bool>&) {
  const Stage& stage = graph.stages[at];
  const bool arg = stage.combiner == Combiner::kArgMax || stage.combiner == Combiner::kArgMin;
  if (stage.combiner == Combiner::kNone || arg || graph::element_count(stage.reduce) != 1)
    return std::nullopt;
  StageGraph out = graph;
  Stage& plain = out.stages[at];
  const auto extents = graph::axis_extents(graph, stage);
  const Expr value = graph::simplify_index(stage.body, extents);
  plain.body = stage.finish ? graph::replace_reduced(stage.finish, value) : value;
  plain.finish = nullptr;
  plain.reduce.clear();
  plain.combiner = Combiner::kNone;
  const graph::DType dtype = out.tensors[static_cast<size_t>(plain.output)].type.dtype;
  if (plain.body->kind != graph::scalar_kind(dtype)) plain.body = graph::cast(dtype, plain.body);
  return out;
}

bool defined_alike(const StageGraph& graph, const Stage& a, const Stage& b) {
  const auto& ta = graph.tensors[static_cast<size_t>(a.output)];
  const auto& tb = graph.tensors[static_cast<size_t>(b.output)];
  if (a.combiner != b.combiner || a.reduce != b.reduce || ta.type.shape != tb.type.shape ||
      ta.type.dtype != tb.type.dtype || !a.finish != !b.finish)
    return false;
  return graph::same(a.body, b.body) && (!a.finish || graph::same(a.finish, b.finish));
}

// Common subexpressions: a temporary that is defined word for word like an earlier one is that
// one. Condition: no state is read, since it may change between the two; same type and shape.
std::optional<StageGraph> common(const StageGraph& graph, size_t at, const std::vector<bool>&) {
  const Stage& later = graph.stages[at];
  if (graph.tensors[static_cast<size_t>(later.output)].role != TensorRole::kTemporary)
    return std::nullopt;
  bool state = false;
  for (const Expr& expr : {later.body, later.finish}) {
    if (!expr) continue;
    graph::visit(expr, [&](const ExprNode& node) {
      state |= node.op == ExprOp::kLoad &&
               graph.tensors[static_cast<size_t>(node.tensor)].role == TensorRole::kState;
    });
  }
  if (state) return std::nullopt;
  for (size_t i = 0; i < at; ++i) {
    const int first = graph.stages[i].output, second = later.output;
    if (graph.tensors[static_cast<size_t>(first)].role == TensorRole::kState ||
        !defined_alike(graph, graph.stages[i], later))
      continue;
    StageGraph out = graph;
    out.stages.erase(out.stages.begin() + static_cast<std::ptrdiff_t>(at));
    for (Stage& stage : out.stages) {
      for (Expr* expr : {&stage.body, &stage.finish}) {
        if (!*expr) continue;
        *expr = graph::rewrite_loads(*expr, [&](const ExprNode& node) -> Expr {
          return node.tensor == second ? graph::load(first, node.kind, node.operands) : nullptr;
        });
      }
    }
    return out;
  }
  return std::nullopt;
}

// Whether a value follows from weights alone, for every node below it: each is looked at once.
class WeightsAlone {
 public:
  explicit WeightsAlone(const std::vector<bool>& fixed) : fixed_(fixed) {}
  bool operator()(const Expr& e) {
    const auto known = known_.find(e.get());
    if (known != known_.end()) return known->second;
    bool all = e->op != ExprOp::kReduced &&
               (e->op != ExprOp::kLoad || fixed_[static_cast<size_t>(e->tensor)]);
    for (const Expr& operand : e->operands) all = (*this)(operand) && all;
    return known_[e.get()] = all;
  }

 private:
  const std::vector<bool>& fixed_;
  std::unordered_map<const ExprNode*, bool> known_;
};

// The largest real subexpression that is arithmetic on weights alone and no larger than the
// largest of them; null when there is none.
Expr made_of_weights(const StageGraph& graph, WeightsAlone& alone, const Expr& e,
                     const std::vector<int64_t>& extents, std::set<const ExprNode*>& seen) {
  if (e->op == ExprOp::kLoad || !seen.insert(e.get()).second) return nullptr;
  if (e->kind == ScalarKind::kReal && e->op != ExprOp::kCast && alone(e) && has_loads(e)) {
    int64_t largest = 0, elements = 1;
    graph::visit(e, [&](const ExprNode& node) {
      if (node.op == ExprOp::kLoad)
        largest =
            std::max(largest, graph.tensors[static_cast<size_t>(node.tensor)].type.elements());
    });
    for (int a : axes_of(e, static_cast<int>(extents.size())))
      elements *= extents[static_cast<size_t>(a)];
    if (elements <= largest) return e;
  }
  for (const Expr& operand : e->operands)
    if (Expr found = made_of_weights(graph, alone, operand, extents, seen)) return found;
  return nullptr;
}

// Constant folding: what is made of weights alone is worked out once, by `prepare`, in the type in
// which the stage computes it. Condition: that type is f32 or f64, and it takes no more room.
std::optional<StageGraph> folded(const StageGraph& graph, size_t at,
                                 const std::vector<bool>& fixed) {
  const Stage& stage = graph.stages[at];
  const graph::DType dtype = graph.tensors[static_cast<size_t>(stage.output)].type.dtype;
  if (dtype != graph::DType::kF32 && dtype != graph::DType::kF64) return std::nullopt;
  if (fixed[static_cast<size_t>(stage.output)]) return std::nullopt;
  const auto extents = graph::axis_extents(graph, stage);
  WeightsAlone alone(fixed);
  std::set<const ExprNode*> seen;
  for (const Expr& part : {stage.body, stage.finish}) {
    if (!part) continue;
    const Expr constant = made_of_weights(graph, alone, part, extents, seen);
    if (!constant || constant == part) continue;
    StageGraph out = graph;
    size_t place = at;
    const Expr made = store(out, place, constant, {}, extents);
    for (Expr* expr : {&out.stages[place].body, &out.stages[place].finish}) {
      if (!*expr) continue;
      *expr = graph::rewrite(*expr, [&](const Expr& node) -> Expr {
        return node->kind == constant->kind && graph::same(node, constant) ? made : nullptr;
      });
    }
    return out;
  }
  return std::nullopt;
}

}  // namespace

void add_point_rules(std::vector<Rule>& rules) {
  rules.push_back({"no-op removed", true, noops_removed});
  rules.push_back({"clamp after clamp", true, clamps_merged});
  rules.push_back({"reduction over one point", true, single_point});
  rules.push_back({"common subexpression", true, common});
  rules.push_back({"constant folding", true, folded});
}

}  // namespace kernelwright::rewrite

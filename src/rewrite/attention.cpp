// SPDX-License-Identifier: Apache-2.0
#include "rewrite/attention.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "rewrite/terms.h"

namespace kernelwright::rewrite {

using graph::Combiner;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;
using graph::Stage;
using graph::StageTensor;
using graph::TensorRole;

namespace {

bool is_real_constant(const Expr& expr, double value) {
  return expr->op == ExprOp::kConst && expr->kind == ScalarKind::kReal && expr->real_value == value;
}

const double kNoScore = -HUGE_VAL;

class AttentionMatcher {
 public:
  AttentionMatcher(const std::vector<Stage>& stages, size_t last,
                   const std::vector<StageTensor>& tensors)
      : stages_(stages), last_(last), tensors_(tensors) {}

  std::optional<Attention> run() {
    const Stage& out = stages_[last_];
    if (out.combiner != Combiner::kSum || out.loop >= 0 || out.reduce.empty() ||
        out.body->kind != ScalarKind::kReal)
      return std::nullopt;
    extents_ = tensors_[static_cast<size_t>(out.output)].type.shape;
    outer_ = extents_.size();
    extents_.insert(extents_.end(), out.reduce.begin(), out.reduce.end());
    for (size_t a = outer_; a < extents_.size(); ++a)
      key_axes_.push_back(graph::axis(static_cast<int>(a)));
    std::vector<Expr> factors;
    collect_factors(out.body, factors);
    for (size_t f = 0; f < factors.size(); ++f) {
      members_ = {last_};
      keep_ = nullptr;
      empty_is_zero_ = false;
      if (!match_weight(factors[f])) continue;
      Expr value;
      for (size_t g = 0; g < factors.size(); ++g)
        if (g != f) value = times(value, factors[g]);
      if (!value || !has_loads(value) || !match_scores() || !alone()) return std::nullopt;
      return in_common_axes(value);
    }
    return std::nullopt;
  }

 private:
  // The stage that makes a tensor which may be left out.
  std::optional<size_t> maker(int tensor) const {
    if (tensors_[static_cast<size_t>(tensor)].role != TensorRole::kTemporary) return std::nullopt;
    for (size_t i = 0; i < stages_.size(); ++i) {
      if (stages_[i].output == tensor && stages_[i].loop < 0) return i;
    }
    return std::nullopt;
  }

  // An expression without casts between floats round it; pointwise stages written out.
  Expr peel(Expr expr) {
    for (;;) {
      if (expr->op == ExprOp::kCast && expr->kind == ScalarKind::kReal &&
          expr->operands[0]->kind == ScalarKind::kReal) {
        expr = expr->operands[0];
        continue;
      }
      if (expr->op != ExprOp::kLoad) return expr;
      const auto made = maker(expr->tensor);
      if (!made || stages_[*made].combiner != Combiner::kNone) return expr;
      members_.insert(*made);
      expr = graph::substitute_axes(stages_[*made].body, expr->operands);
    }
  }

  // The stage whose result a load reads, when that is a reduction of the kind.
  std::optional<size_t> reduction(const Expr& load, Combiner combiner) const {
    if (load->op != ExprOp::kLoad) return std::nullopt;
    const auto made = maker(load->tensor);
    if (!made || stages_[*made].combiner != combiner) return std::nullopt;
    return made;
  }

  // exp(load of scores - load of the maximum).
  bool match_exponential(Expr expr, Expr& scores, Expr& top) {
    expr = peel(expr);
    if (expr->op != ExprOp::kExp) return false;
    expr = peel(expr->operands[0]);
    if (expr->op != ExprOp::kSub) return false;
    scores = peel(expr->operands[0]);
    top = peel(expr->operands[1]);
    return reduction(scores, Combiner::kSum) && reduction(top, Combiner::kMax);
  }

  bool same_place(const Expr& a, const Expr& b) const {
    if (a->tensor != b->tensor || a->operands.size() != b->operands.size()) return false;
    const auto strides = strides_of(tensors_[static_cast<size_t>(a->tensor)]);
    Expr apart = graph::integer(0);
    bool equal = true;
    for (size_t d = 0; d < a->operands.size(); ++d) {
      const Expr left = graph::simplify_index(a->operands[d], extents_),
                 right = graph::simplify_index(b->operands[d], extents_);
      equal = equal && graph::same(left, right);
      apart = apart + (left - right) * graph::integer(strides[d]);
    }
    if (equal) return true;
    const auto affine =
        graph::as_affine(graph::simplify_index(apart, extents_), static_cast<int>(extents_.size()));
    return affine && affine->constant == 0 &&
           std::all_of(affine->coefficients.begin(), affine->coefficients.end(),
                       [](int64_t c) { return c == 0; });
  }

  // An expression of a stage's axes at the place that a load reads it, its reduction over the keys.
  static Expr placed(const Expr& expr, const Expr& load, const std::vector<Expr>& reduced_axes) {
    std::vector<Expr> axes = load->operands;
    axes.insert(axes.end(), reduced_axes.begin(), reduced_axes.end());
    return graph::substitute_axes(expr, axes);
  }

  bool match_weight(const Expr& factor) {
    Expr expr = peel(factor);
    std::vector<Expr> tops;  // tensors compared with -infinity
    while (expr->op == ExprOp::kSelect) {
      const Expr condition = expr->operands[0], yes = peel(expr->operands[1]),
                 no = peel(expr->operands[2]);
      if (is_real_constant(yes, 0) && condition->op == ExprOp::kEq &&
          is_real_constant(condition->operands[1], kNoScore)) {
        tops.push_back(peel(condition->operands[0]));
        empty_is_zero_ = true;
        expr = no;
      } else if (is_real_constant(no, 0) && !keep_) {
        keep_ = condition;
        expr = yes;
      } else {
        return false;
      }
    }
    if (expr->op != ExprOp::kDiv) return false;
    const Expr total = peel(expr->operands[1]);
    if (!match_exponential(expr->operands[0], scores_, top_)) return false;
    const auto sum = reduction(total, Combiner::kSum), most = reduction(top_, Combiner::kMax);
    if (!sum || !most) return false;
    // Sum and maximum run over the keys, of the same scores.
    const Stage& sums = stages_[*sum];
    const Stage& maxima = stages_[*most];
    const auto& reduce = stages_[last_].reduce;
    if (sums.finish || maxima.finish || sums.reduce != reduce || maxima.reduce != reduce)
      return false;
    Expr scores, top;
    if (!match_exponential(placed(sums.body, total, key_axes_), scores, top)) return false;
    if (!same_place(scores, scores_) || !same_place(top, top_)) return false;
    scores = peel(placed(maxima.body, top_, key_axes_));
    if (scores->op != ExprOp::kLoad || !same_place(scores, scores_)) return false;
    for (const Expr& other : tops)
      if (other->op != ExprOp::kLoad || !same_place(other, top_)) return false;
    members_.insert(*sum);
    members_.insert(*most);
    return true;
  }

  bool match_scores() {
    const auto made = reduction(scores_, Combiner::kSum);
    if (!made) return false;
    const Stage& stage = stages_[*made];
    if (stage.reduce.empty() || stage.body->kind != ScalarKind::kReal) return false;
    members_.insert(*made);
    std::vector<Expr> depth_axes;
    for (size_t j = 0; j < stage.reduce.size(); ++j) {
      depth_axes.push_back(graph::axis(static_cast<int>(extents_.size())));
      extents_.push_back(stage.reduce[j]);
    }
    depth_ = stage.reduce;
    const int rank = static_cast<int>(extents_.size());
    std::vector<Expr> factors;
    collect_factors(placed(stage.body, scores_, depth_axes), factors);
    for (const Expr& factor : factors) {
      const auto used = axes_used(factor, rank);
      bool by_key = false;
      for (size_t a = 0; a < key_axes_.size(); ++a) by_key = by_key || used[outer_ + a];
      (by_key ? key_ : query_) = times(by_key ? key_ : query_, factor);
    }
    if (!query_ || !key_ || !has_loads(query_) || !has_loads(key_)) return false;
    const graph::DType stored = tensors_[static_cast<size_t>(stage.output)].type.dtype;
    score_ = as_stored(stage.finish ? placed(stage.finish, scores_, depth_axes)
                                    : graph::reduced(ScalarKind::kReal),
                       stored);
    return !keep_ || kept_anyway();
  }

  // Whether weights that the choice makes 0 are 0 without it: their scores are -infinity by the
  // same condition, and every row has a key for which it holds.
  bool kept_anyway() {
    const Expr score = peel(score_);
    if (score->op != ExprOp::kSelect || !is_real_constant(peel(score->operands[2]), kNoScore))
      return false;
    const Expr condition = graph::simplify_index(keep_, extents_);
    if (!graph::same(graph::simplify_index(score->operands[0], extents_), condition)) return false;
    if (condition->op != ExprOp::kLe && condition->op != ExprOp::kGe) return false;
    const bool less = condition->op == ExprOp::kLe;
    const auto over = graph::as_affine(less ? condition->operands[0] - condition->operands[1]
                                            : condition->operands[1] - condition->operands[0],
                                       static_cast<int>(extents_.size()));
    if (!over) return false;
    int64_t most = over->constant;
    for (size_t a = 0; a < over->coefficients.size(); ++a) {
      const bool key = a >= outer_ && a < outer_ + key_axes_.size();
      if (!key) most += std::max<int64_t>(0, over->coefficients[a] * (extents_[a] - 1));
    }
    return most <= 0;  // for key 0
  }

  // What the members make and read stays among them.
  bool alone() const {
    std::set<int> states, made;
    for (const Stage& stage : stages_) {
      if (tensors_[static_cast<size_t>(stage.output)].role == TensorRole::kState)
        states.insert(stage.output);
    }
    for (size_t i : members_)
      if (i != last_) made.insert(stages_[i].output);
    for (size_t i = 0; i < stages_.size(); ++i) {
      const bool member = members_.count(i) != 0;
      for (const Expr& expr : {stages_[i].body, stages_[i].finish}) {
        bool fits = true;
        if (expr) {
          graph::visit(expr, [&](const ExprNode& node) {
            if (node.op != ExprOp::kLoad) return;
            fits = fits && (member ? states.count(node.tensor) == 0 : made.count(node.tensor) == 0);
          });
        }
        if (!fits) return false;
      }
    }
    // Nor do the parts read what is no longer made.
    for (const Expr& expr : {query_, key_, score_}) {
      bool fits = true;
      graph::visit(expr, [&](const ExprNode& node) {
        fits = fits && (node.op != ExprOp::kLoad || made.count(node.tensor) == 0);
      });
      if (!fits) return false;
    }
    return true;
  }

  std::optional<Attention> in_common_axes(const Expr& value) const {
    Stage stage = stages_[last_];
    stage.reduce.insert(stage.reduce.end(), depth_.begin(), depth_.end());
    stage.body = value;
    // The last one tells keys from depth.
    Expr flat_key = graph::integer(0);
    for (size_t a = 0; a < key_axes_.size(); ++a)
      flat_key = flat_key * graph::integer(extents_[outer_ + a]) + key_axes_[a];
    Attention found;
    found.nest = make_nest(stage, tensors_, false, {query_, key_, score_, flat_key});
    for (bool merged = true; merged;) {
      merged = false;
      const auto roles = roles_of(found);
      for (int a = 0; a + 1 < found.nest.rank() && !merged; ++a) {
        const auto at = static_cast<size_t>(a);
        if (roles[at] != roles[at + 1] || !can_merge(found.nest, a)) continue;
        merge(found.nest, a);
        merged = true;
      }
    }
    const auto roles = roles_of(found);
    for (int a = 0; a < found.nest.rank(); ++a) {
      const int64_t extent = found.extent(a);
      const Role role = roles[static_cast<size_t>(a)];
      if (role == Role::kRow) {
        if (found.row < 0 || extent >= found.extent(found.row)) {
          if (found.row >= 0) found.batch.push_back(found.row);
          found.row = a;
        } else {
          found.batch.push_back(a);
        }
      } else if (role == Role::kBatch) {
        found.batch.push_back(a);
      } else if (extent > 1) {
        int& one = role == Role::kColumn ? found.column
                   : role == Role::kKey  ? found.keys
                                         : found.depth;
        if (one >= 0) return std::nullopt;
        one = a;
      }
    }
    if (found.column < 0 || found.keys < 0 || found.depth < 0) return std::nullopt;
    std::sort(found.batch.begin(), found.batch.end());
    found.query = found.nest.also[0];
    found.key = found.nest.also[1];
    found.score = found.nest.also[2];
    found.value = found.nest.body;
    found.empty_is_zero = empty_is_zero_;
    found.members.assign(members_.begin(), members_.end());
    return found;
  }

  enum class Role : uint8_t { kBatch, kRow, kColumn, kKey, kDepth };

  static std::vector<Role> roles_of(const Attention& found) {
    const int rank = found.nest.rank();
    std::vector<std::vector<bool>> used;
    for (const Expr& expr : found.nest.also) used.push_back(axes_used(expr, rank));
    const auto in_value = axes_used(found.nest.body, rank);
    std::vector<Role> roles;
    for (int a = 0; a < rank; ++a) {
      const auto at = static_cast<size_t>(a);
      const bool in_query = used[0][at], in_key = used[1][at], in_score = used[2][at];
      if (a >= found.nest.outer)
        roles.push_back(used[3][at] ? Role::kKey : Role::kDepth);
      else if (found.nest.extents[at] == 1 || in_key)
        roles.push_back(Role::kBatch);
      else if (in_value[at])
        roles.push_back(in_query || in_score ? Role::kBatch : Role::kColumn);
      else
        roles.push_back(in_query || in_score ? Role::kRow : Role::kBatch);
    }
    return roles;
  }

  const std::vector<Stage>& stages_;
  const size_t last_;
  const std::vector<StageTensor>& tensors_;
  std::vector<int64_t> extents_;  // output, keys, depth
  size_t outer_ = 0;
  std::vector<Expr> key_axes_;
  std::vector<int64_t> depth_;
  std::set<size_t> members_;
  Expr scores_, top_;  // loads, at the second product's axes
  Expr keep_;          // condition beside which weights are 0; null: none
  bool empty_is_zero_ = false;
  Expr query_, key_, score_;
};

}  // namespace

std::optional<Attention> match_attention(const std::vector<Stage>& stages, size_t last,
                                         const std::vector<StageTensor>& tensors) {
  return AttentionMatcher(stages, last, tensors).run();
}

void join_attention(FusedGraph& fused, const std::vector<Stage>& stages) {
  std::set<size_t> taken;
  for (size_t last = 0; last < stages.size(); ++last) {
    const auto attention = match_attention(stages, last, fused.tensors);
    if (!attention) continue;
    std::set<int> made, read;
    JoinedOp joined;
    for (size_t i : attention->members) {
      made.insert(stages[i].output);
      joined.op.stages.push_back(stages[i]);
      for (const Expr& expr : {stages[i].body, stages[i].finish}) {
        if (!expr) continue;
        graph::visit(expr, [&](const ExprNode& node) {
          if (node.op == ExprOp::kLoad) read.insert(node.tensor);
        });
      }
    }
    joined.op.anchor = Anchor::kAttention;
    joined.op.outputs = {stages[last].output};
    std::set_difference(read.begin(), read.end(), made.begin(), made.end(),
                        std::back_inserter(joined.op.inputs));
    // The ops that it stands for hold these stages and no others.
    size_t covered = 0;
    bool fits = true;
    for (size_t i = 0; i < fused.ops.size(); ++i) {
      const auto inside = [&](const Stage& stage) { return made.count(stage.output) != 0; };
      const auto& own = fused.ops[i].stages;
      if (std::none_of(own.begin(), own.end(), inside)) continue;
      joined.parts.push_back(i);
      covered += own.size();
      fits = fits && !fused.ops[i].prepared && taken.insert(i).second &&
             std::all_of(own.begin(), own.end(), inside);
    }
    if (fits && covered == made.size()) fused.joined.push_back(std::move(joined));
  }
}

}  // namespace kernelwright::rewrite

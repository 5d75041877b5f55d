// SPDX-License-Identifier: Apache-2.0
// Rules about sums of products, and about reductions that follow each other.
#include <algorithm>

#include "rewrite/nest.h"
#include "rewrite/rules.h"
#include "rewrite/terms.h"

namespace kernelwright::rewrite {

using graph::Combiner;
using graph::DType;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;
using graph::Stage;
using graph::StageGraph;
using graph::TensorRole;

namespace {

bool computes_wide(const StageGraph& graph, int tensor) {
  const DType dtype = graph.tensors[static_cast<size_t>(tensor)].type.dtype;
  return dtype == DType::kF32 || dtype == DType::kF64;
}

// A sum of reals in f32 or f64 over at least one point: what the rules below work on.
bool is_real_sum(const StageGraph& graph, const Stage& stage) {
  const auto extents = graph::axis_extents(graph, stage);
  return stage.combiner == Combiner::kSum && stage.body->kind == ScalarKind::kReal &&
         !stage.reduce.empty() && computes_wide(graph, stage.output) &&
         std::find(extents.begin(), extents.end(), 0) == extents.end();
}

bool is_reduced(const ExprNode& node) {
  return node.op == ExprOp::kReduced;
}

// The widest subexpressions of `expr` that are linear in what was reduced; false when it occurs
// otherwise as well.
bool linear_parts(const Expr& expr, std::vector<std::pair<Expr, LinearForm>>& parts) {
  bool occurs = false;
  graph::visit(expr, [&](const ExprNode& node) { occurs |= is_reduced(node); });
  if (!occurs) return true;
  if (auto form = linear_in(expr, is_reduced)) {
    parts.emplace_back(expr, *form);
    return true;
  }
  return std::all_of(expr->operands.begin(), expr->operands.end(),
                     [&](const Expr& operand) { return linear_parts(operand, parts); });
}

bool within(const std::vector<int>& axes, const std::vector<int>& all) {
  return std::includes(all.begin(), all.end(), axes.begin(), axes.end());
}

// Scale into weights: s * sum(x * w) = sum(x * (w * s)), by distributivity; likewise for a scale
// of x. An eval-mode norm behind a convolution or a matrix product is such a scale with a shift.
// Condition: s is made of weights and constants and changes along axes of w alone, so that w * s
// is no larger than w and is made once. Where sums overflow, it may do so elsewhere than eager.
std::optional<StageGraph> scale_into_weights(const StageGraph& graph, size_t at,
                                             const std::vector<bool>& fixed) {
  const Stage& stage = graph.stages[at];
  if (!is_real_sum(graph, stage)) return std::nullopt;
  const auto extents = graph::axis_extents(graph, stage);
  const int count = static_cast<int>(extents.size());
  std::vector<Expr> factors;
  collect_factors(stage.body, factors);
  // The weight that takes the scale is the one with most elements.
  size_t main = factors.size();
  double most = 0;
  bool varies = false;
  for (size_t i = 0; i < factors.size(); ++i) {
    if (!has_loads(factors[i])) continue;
    if (!loads_only(factors[i], fixed)) {
      varies = true;
      continue;
    }
    double elements = 1;
    for (int a : axes_of(factors[i], count))
      elements *= static_cast<double>(extents[static_cast<size_t>(a)]);
    if (elements > most) main = i;
    most = std::max(most, elements);
  }
  if (!varies || main == factors.size()) return std::nullopt;
  const auto axes = axes_of(factors[main], count);
  const auto movable = [&](const Expr& e) {
    return loads_only(e, fixed) && within(axes_of(e, count), axes);
  };
  Expr scale, body;
  std::vector<Expr> kept;
  for (size_t i = 0; i < factors.size(); ++i) {
    if (i != main && movable(factors[i]))
      scale = times(scale, factors[i]);
    else
      kept.push_back(i == main ? nullptr : factors[i]);
  }
  StageGraph out = graph;
  size_t place = at;
  // What the scale leaves of a shift made of weights is worked out with it.
  const auto shift_of = [&](const LinearForm& form) {
    const bool made = form.shift && has_loads(form.shift) && loads_only(form.shift, fixed) &&
                      form.shift->op != ExprOp::kLoad;
    return made ? store(out, place, form.shift, {}, extents) : form.shift;
  };
  Expr finish = stage.finish;
  std::vector<std::pair<Expr, LinearForm>> parts;
  if (finish && linear_parts(finish, parts) && !parts.empty()) {
    const Expr common = parts[0].second.scale;
    const bool alike = std::all_of(parts.begin(), parts.end(), [&](const auto& part) {
      return part.second.scale && graph::same(part.second.scale, common);
    });
    if (common && alike && movable(common)) {
      scale = times(scale, common);
      finish = graph::rewrite(finish, [&](const Expr& e) -> Expr {
        for (const auto& [part, form] : parts)
          if (graph::same(part, e)) return plus(graph::reduced(ScalarKind::kReal), shift_of(form));
        return nullptr;
      });
    }
  }
  if (!scale) return std::nullopt;
  const Expr weight = store(out, place, factors[main] * scale, {}, extents);
  for (const Expr& factor : kept) body = times(body, factor ? factor : weight);
  out.stages[place].body = body;
  out.stages[place].finish = finish && is_reduced(*finish) ? nullptr : finish;
  return out;
}

// A sum `outer` over j of c * y + d, where y[...] = s * (sum over k of products) + t is read by it
// alone, written as sum over j and k of `factors` plus sum over j of `rest`; axes are outer's,
// then those of k.
struct SumOfSums {
  size_t inner = 0;
  std::vector<Expr> factors;
  Expr rest;  // null: 0
  std::vector<int64_t> extents;
  std::vector<int> j, k;
};

std::optional<SumOfSums> sum_of_sums(const StageGraph& graph, size_t at) {
  const Stage& outer = graph.stages[at];
  if (!is_real_sum(graph, outer)) return std::nullopt;
  std::vector<bool> read(graph.tensors.size(), false);
  graph::visit(outer.body, [&](const ExprNode& node) {
    if (node.op == ExprOp::kLoad) read[static_cast<size_t>(node.tensor)] = true;
  });
  for (size_t i = 0; i < at; ++i) {
    const Stage& inner = graph.stages[i];
    if (!read[static_cast<size_t>(inner.output)] || !is_real_sum(graph, inner) ||
        graph.tensors[static_cast<size_t>(inner.output)].role != TensorRole::kTemporary)
      continue;
    const auto readers = readers_of(graph.stages, inner.output);
    if (readers != std::vector<size_t>{at}) continue;
    const ExprNode* load = nullptr;
    const IsVariable is_load = [&](const ExprNode& node) {
      return node.op == ExprOp::kLoad && node.tensor == inner.output;
    };
    graph::visit(outer.body, [&](const ExprNode& node) {
      if (is_load(node)) load = &node;
    });
    if (!load) continue;
    const auto form = linear_in(outer.body, is_load);
    const auto inside = inner.finish ? linear_in(inner.finish, is_reduced)
                                     : std::optional<LinearForm>(LinearForm{});
    if (!form || !inside) continue;
    SumOfSums sum;
    sum.inner = i;
    sum.extents = graph::axis_extents(graph, outer);
    const auto rank = sum.extents.size() - outer.reduce.size();
    for (size_t a = rank; a < sum.extents.size(); ++a) sum.j.push_back(static_cast<int>(a));
    // The inner stage's axes in terms of these.
    std::vector<Expr> axes = load->operands;
    for (int64_t extent : inner.reduce) {
      sum.k.push_back(static_cast<int>(sum.extents.size()));
      axes.push_back(graph::axis(sum.k.back()));
      sum.extents.push_back(extent);
    }
    const auto moved = [&](const Expr& e) {
      return e ? graph::simplify_index(graph::substitute_axes(e, axes), sum.extents) : e;
    };
    for (const Expr& part : {form->scale, moved(inside->scale), moved(inner.body)})
      if (part) collect_factors(part, sum.factors);
    if (inside->shift) sum.rest = times(form->scale, moved(inside->shift));
    sum.rest = plus(sum.rest, form->shift);
    return sum;
  }
  return std::nullopt;
}

bool uses_any(const Expr& e, const std::vector<int>& axes, size_t count) {
  const auto used = axes_used(e, static_cast<int>(count));
  return std::any_of(axes.begin(), axes.end(), [&](int a) { return used[static_cast<size_t>(a)]; });
}

// Puts `body`, a sum over the axes `over` of a SumOfSums, in the outer stage's place. The inner
// stage, which nothing reads any more, goes when dead work is dropped.
void replace_sum(StageGraph& graph, size_t at, const SumOfSums& sum, const Expr& body,
                 const std::vector<int>& over, const Expr& scale, const Expr& shift,
                 const std::vector<int64_t>& extents) {
  Stage& stage = graph.stages[at];
  const size_t rank = graph.tensors[static_cast<size_t>(stage.output)].type.shape.size();
  std::vector<Expr> axes(extents.size(), graph::integer(0));
  std::vector<int64_t> own(extents.begin(), extents.begin() + static_cast<std::ptrdiff_t>(rank));
  for (size_t a = 0; a < rank; ++a) axes[a] = graph::axis(static_cast<int>(a));
  stage.reduce.clear();
  for (int a : over) {
    axes[static_cast<size_t>(a)] = graph::axis(static_cast<int>(own.size()));
    own.push_back(extents[static_cast<size_t>(a)]);
    stage.reduce.push_back(own.back());
  }
  stage.body = graph::simplify_index(graph::substitute_axes(body, axes), own);
  Expr value = plus(times(graph::reduced(ScalarKind::kReal), scale), shift);
  if (stage.finish) value = graph::replace_reduced(stage.finish, value);
  stage.finish = is_reduced(*value) ? nullptr : value;
}

// The part of the outer sum that does not go through the inner one: sum over j of `rest`.
Expr store_rest(StageGraph& graph, size_t& at, const SumOfSums& sum) {
  if (!sum.rest) return nullptr;
  const std::vector<int64_t> outer(sum.extents.begin(),
                                   sum.extents.end() - static_cast<std::ptrdiff_t>(sum.k.size()));
  return store(graph, at, sum.rest, sum.j, outer);
}

// A reduction after a linear map moved before it, and adjacent linear maps merged:
// sum_j sum_k p(k) q(j, k) = sum_k p(k) sum_j q(j, k): finite sums may be exchanged, and what does
// not depend on j leaves the inner one. With q made of weights (the sum over a linear layer's
// outputs, a linear layer behind another one) the inner sum is made once; else it is a reduction
// of the input (the mean of a convolution's output over positions).
// Condition: the inner map has one reader, is linear up to a shift made of weights, and some
// factor does not depend on j. Not for NaN and infinities: inf * (a + b) is not inf * a + inf * b.
std::optional<StageGraph> sums_exchanged(const StageGraph& graph, size_t at,
                                         const std::vector<bool>& fixed) {
  const auto sum = sum_of_sums(graph, at);
  if (!sum) return std::nullopt;
  if (sum->rest && !loads_only(sum->rest, fixed)) return std::nullopt;
  Expr p, q, scale;
  for (const Expr& factor : sum->factors) {
    const size_t count = sum->extents.size();
    if (uses_any(factor, sum->j, count))
      q = times(q, factor);
    else if (uses_any(factor, sum->k, count))
      p = times(p, factor);
    else
      scale = times(scale, factor);
  }
  if (!p || !q || !has_loads(p) || !has_loads(q)) return std::nullopt;
  StageGraph out = graph;
  size_t place = at;
  const Expr shift = store_rest(out, place, *sum);
  const Expr partial = store(out, place, q, sum->j, sum->extents);
  replace_sum(out, place, *sum, p * partial, sum->k, scale, shift, sum->extents);
  return out;
}

// Average pooling into convolution weights: where x and its padding depend on the window's axis j
// and the kernel's axis k through j + k alone, sum_j sum_k x(j + k) w(k) = sum_u x(u) v(u) with
// v(u) = sum_j w(u - j): the terms are grouped by u = j + k. v is made once.
// Condition: every j pairs with a k of its own in this way, the other factors are weights. Rounds
// in another order; not for infinities, which v could turn from a cancelling pair into another.
std::optional<StageGraph> windows_merged(const StageGraph& graph, size_t at,
                                         const std::vector<bool>& fixed) {
  auto sum = sum_of_sums(graph, at);
  if (!sum) return std::nullopt;
  if (sum->rest && !loads_only(sum->rest, fixed)) return std::nullopt;
  Expr x, w;
  for (const Expr& factor : sum->factors) {
    Expr& side = loads_only(factor, fixed) ? w : x;
    side = times(side, factor);
  }
  if (!x || !w || !has_loads(w)) return std::nullopt;
  std::vector<int64_t> extents = sum->extents;  // a merged axis stands in k's place
  std::vector<int> free = sum->k, gone;
  for (int j : sum->j) {
    if (extents[static_cast<size_t>(j)] == 1) {
      gone.push_back(j);
      continue;
    }
    bool paired = false;
    for (size_t i = 0; i < free.size() && !paired; ++i) {
      const int k = free[i];
      std::vector<int64_t> wider = extents;
      wider[static_cast<size_t>(k)] += extents[static_cast<size_t>(j)] - 1;
      std::vector<Expr> axes;
      for (size_t a = 0; a < extents.size(); ++a) axes.push_back(graph::axis(static_cast<int>(a)));
      axes[static_cast<size_t>(k)] = graph::axis(k) - graph::axis(j);
      const Expr moved = graph::simplify_index(graph::substitute_axes(x, axes), wider);
      if (uses_any(moved, {j}, extents.size()) || uses_any(w, {j}, extents.size())) continue;
      const Expr u = graph::axis(k) - graph::axis(j);
      const Expr inside = graph::binary(
          ExprOp::kAnd, graph::binary(ExprOp::kGe, u, graph::integer(0)),
          graph::binary(ExprOp::kLt, u, graph::integer(extents[static_cast<size_t>(k)])));
      x = moved;
      w = graph::select(inside, graph::substitute_axes(w, axes), graph::constant(0));
      extents = wider;
      free.erase(free.begin() + static_cast<std::ptrdiff_t>(i));
      gone.push_back(j);
      paired = true;
    }
    if (!paired) return std::nullopt;
  }
  StageGraph out = graph;
  size_t place = at;
  const Expr shift = store_rest(out, place, *sum);
  const Expr weights = store(out, place, w, gone, extents);
  replace_sum(out, place, *sum, x * weights, sum->k, nullptr, shift, extents);
  return out;
}

// Pool after pool: a maximum of maxima is the maximum of all, alike for minimum, any and all; each
// is associative, commutative and takes NaN along. Condition: the inner reduction has no finish
// and one reader, which reads no element twice, so that nothing is computed again.
std::optional<StageGraph> reductions_merged(const StageGraph& graph, size_t at, bool sums) {
  const Stage& outer = graph.stages[at];
  const Combiner c = outer.combiner;
  const bool exact =
      c == Combiner::kMax || c == Combiner::kMin || c == Combiner::kAny || c == Combiner::kAll;
  if (sums ? !is_real_sum(graph, outer) : !exact) return std::nullopt;
  // Padding of the outer window gives what changes nothing.
  const bool padded = outer.body->op == ExprOp::kSelect;
  const Expr& load = padded ? outer.body->operands[1] : outer.body;
  if (load->op != ExprOp::kLoad) return std::nullopt;
  for (size_t i = 0; i < at; ++i) {
    const Stage& inner = graph.stages[i];
    const auto& tensor = graph.tensors[static_cast<size_t>(inner.output)];
    if (inner.output != load->tensor || inner.combiner != c ||
        tensor.role != TensorRole::kTemporary || inner.body->kind != outer.body->kind ||
        readers_of(graph.stages, inner.output) != std::vector<size_t>{at})
      continue;
    std::optional<LinearForm> form = LinearForm{};
    if (inner.finish) form = sums ? linear_in(inner.finish, is_reduced) : std::nullopt;
    if (!form || form->shift || (form->scale && !axes_of(form->scale, 64).empty()))
      return std::nullopt;
    if (form->scale && has_loads(form->scale)) return std::nullopt;
    std::vector<int64_t> extents = graph::axis_extents(graph, outer);
    if (graph::element_count(extents) > tensor.type.elements()) return std::nullopt;
    std::vector<Expr> axes = load->operands;
    StageGraph out = graph;
    Stage& merged = out.stages[at];
    for (int64_t extent : inner.reduce) {
      axes.push_back(graph::axis(static_cast<int>(extents.size())));
      extents.push_back(extent);
      merged.reduce.push_back(extent);
    }
    Expr body = graph::substitute_axes(inner.body, axes);
    if (padded) body = graph::select(outer.body->operands[0], body, outer.body->operands[2]);
    merged.body = graph::simplify_index(body, extents);
    if (form->scale) {
      const Expr value = graph::reduced(ScalarKind::kReal) * form->scale;
      merged.finish = merged.finish ? graph::replace_reduced(merged.finish, value) : value;
    }
    return out;
  }
  return std::nullopt;
}

std::optional<StageGraph> extrema_merged(const StageGraph& graph, size_t at,
                                         const std::vector<bool>&) {
  return reductions_merged(graph, at, false);
}
// The same for sums: another order of the same terms; a constant factor of the inner one moves out.
std::optional<StageGraph> plain_sums_merged(const StageGraph& graph, size_t at,
                                            const std::vector<bool>&) {
  return reductions_merged(graph, at, true);
}

}  // namespace

void add_sum_rules(std::vector<Rule>& rules) {
  rules.push_back({"pool after pool", true, extrema_merged});
  rules.push_back({"sum after sum", false, plain_sums_merged});
  rules.push_back({"sums exchanged", false, sums_exchanged});
  rules.push_back({"windows merged", false, windows_merged});
  rules.push_back({"scale into weights", false, scale_into_weights});
}

}  // namespace kernelwright::rewrite

// SPDX-License-Identifier: Apache-2.0
#include "expert/families/contraction_plan.h"

#include <algorithm>

#include "expert/emit_util.h"

namespace kernelwright::expert {

using graph::ExprNode;
using graph::ExprOp;

namespace {

int64_t whole_lines(int64_t bytes) {
  return ceil_div(bytes, 64) * 64;
}

bool only_weights(const OpContext& context, const graph::Expr& operand) {
  bool weights = true;
  graph::visit(operand, [&](const ExprNode& node) {
    if (node.op != ExprOp::kLoad) return;
    weights = weights && context.graph.fixed[static_cast<size_t>(node.tensor)];
  });
  return weights;
}

std::optional<DirectOperand> direct_operand(const OpContext& context, const rewrite::Contraction& c,
                                            bool side_a, bool wide) {
  const graph::Expr& operand = side_a ? c.a : c.b;
  const std::vector<int>& rows = side_a ? c.m : c.n;
  if (operand->op != ExprOp::kLoad || rows.size() > 1 || c.k.size() != 1) return std::nullopt;
  if (context.type(operand->tensor).dtype != (wide ? graph::DType::kF64 : graph::DType::kF32))
    return std::nullopt;
  const auto affine = rewrite::affine_of(c.nest, operand->operands[0]);
  if (!affine) return std::nullopt;
  DirectOperand direct;
  direct.tensor = operand->tensor;
  direct.row_stride = rows.empty() ? 0 : affine->coefficients[static_cast<size_t>(rows[0])];
  direct.k_stride = affine->coefficients[static_cast<size_t>(c.k[0])];
  if (!side_a && (rows.empty() || direct.row_stride != 1)) return std::nullopt;
  return direct;
}

constexpr int64_t kMostBetween = 4;

int64_t images_of(const ContractionFacts& facts) {
  int64_t count = facts.n;
  for (int axis : facts.sliding->moving)
    count /= facts.sparse.nest.extents[static_cast<size_t>(axis)];
  return count;
}

int axis_between(const rewrite::Contraction& c) {
  if (c.n.empty()) return -1;
  const auto store = rewrite::affine_of(c.nest, c.nest.store);
  if (!store) return -1;
  const int64_t apart = store->coefficients[static_cast<size_t>(c.n.back())];
  for (int axis : c.m) {
    const auto at = static_cast<size_t>(axis);
    if (apart > 1 && apart <= kMostBetween && store->coefficients[at] == 1 &&
        c.nest.extents[at] == apart)
      return axis;
  }
  return -1;
}

// Whether all loads of an operand are contiguous along an axis, or do not move along it.
bool runs_along(const rewrite::Nest& nest, const graph::Expr& operand, int axis) {
  bool contiguous = false, others = false;
  graph::visit(operand, [&](const ExprNode& node) {
    if (node.op != ExprOp::kLoad) return;
    const auto along = coefficient(nest, node.operands[0], axis);
    contiguous = contiguous || (along && *along == 1);
    others = others || !along || *along > 1 || *along < 0;
  });
  return contiguous && !others;
}

}  // namespace

const ContractionFacts& contraction_facts(const OpContext& context) {
  if (context.facts) return *context.facts;
  const rewrite::Contraction& c = *context.contraction();
  auto facts = std::make_shared<ContractionFacts>();
  facts->wide = real_of(context, c.nest) == code::Real::kF64;
  facts->lanes = context.vector_bytes() / (facts->wide ? 8 : 4);
  facts->batch = c.extent(c.batch);
  facts->m = c.extent(c.m);
  facts->n = c.extent(c.n);
  facts->k = c.extent(c.k);
  facts->inner = c.n.empty() ? 1 : c.nest.extents[static_cast<size_t>(c.n.back())];
  facts->weights_a = only_weights(context, c.a);
  facts->weights_b = only_weights(context, c.b);
  facts->direct_a = direct_operand(context, c, true, facts->wide);
  facts->direct_b = direct_operand(context, c, false, facts->wide);
  facts->finish_cost = rewrite::arithmetic_cost(c.nest.finish);
  facts->a_cost = rewrite::arithmetic_cost(c.a);
  facts->b_cost = rewrite::arithmetic_cost(c.b);
  facts->b_contiguous = true;
  if (!c.n.empty()) {
    graph::visit(c.b, [&](const ExprNode& node) {
      if (node.op != ExprOp::kLoad) return;
      const auto along = coefficient(c.nest, node.operands[0], c.n.back());
      facts->b_contiguous = facts->b_contiguous && along && *along <= 1;
    });
  }
  facts->a_contiguous = c.m.size() == 1 && runs_along(c.nest, c.a, c.m[0]);
  facts->between = axis_between(c);
  facts->zeros = structural_zeros(c);
  facts->sparse = c;
  if (facts->zeros) {
    facts->sparse.m = facts->zeros->m;
    facts->sparse.k = facts->zeros->k;
  }
  // Of elements as they are computed with.
  const auto same_type = facts->wide ? graph::DType::kF64 : graph::DType::kF32;
  if (c.k.size() > 1 && !facts->weights_b) facts->sliding = sliding_of(facts->sparse);
  if (facts->sliding && context.type(facts->sliding->tensor).dtype != same_type)
    facts->sliding.reset();
  context.facts = facts;
  return *context.facts;
}

bool may_pair(const OpContext& context) {
  return context.policy == target::Policy::kBf16 && context.vector_bytes() == 64 &&
         context.model.rate("bf16", graph::DType::kBF16) > 0 && !contraction_facts(context).wide;
}

int64_t ContractionPlan::a_elements() const {
  return direct_a || weight_a ? 0 : block_m * mr * packed_k;
}
int64_t ContractionPlan::b_elements() const {
  return direct_b || weight_b || sliding ? 0 : block_n * nr * packed_k;
}
int64_t ContractionPlan::a_bytes() const {
  return whole_lines(a_elements() * panel_bytes());
}
int64_t ContractionPlan::b_bytes() const {
  return whole_lines(b_elements() * panel_bytes());
}
int64_t ContractionPlan::c_bytes() const {
  return whole_lines(block_m * mr * block_n * nr * element_bytes());
}

ContractionPlan plan_contraction(const OpContext& context, const Schedule& s) {
  const ContractionFacts& facts = contraction_facts(context);
  ContractionPlan p;
  p.facts = &facts;
  p.wide = facts.wide;
  p.lanes = facts.lanes;
  p.batch = facts.batch;
  p.m = facts.m;
  p.n = facts.n;
  p.k = facts.k;
  p.inner = facts.inner;
  p.mr = s.at("mr");
  p.nv = s.at("nv");
  p.nr = p.nv * p.lanes;
  p.pairs = s.at("pairs") != 0;
  p.packed_k = p.pairs ? ceil_div(p.k, 2) * 2 : p.k;
  p.kc = s.at("kc") == 0 ? p.packed_k : std::min(p.packed_k, s.at("kc"));
  p.flat = s.at("flat") != 0;
  p.n_fastest = s.at("order") != 0;
  p.direct_a = s.at("direct_a") != 0;
  p.direct_b = s.at("direct_b") != 0;
  p.m_tiles = ceil_div(p.m, p.mr);
  if (s.at("slide") != 0) p.sliding = &*facts.sliding;
  p.inner_tiles = ceil_div(p.sliding ? p.sliding->places : p.inner, p.nr);
  p.n_tiles = p.sliding ? images_of(facts) * p.inner_tiles
              : p.flat  ? ceil_div(p.n, p.nr)
                        : p.n / p.inner * p.inner_tiles;
  p.block_m = ceil_div(p.m_tiles, s.at("mblocks"));
  p.block_n = ceil_div(p.n_tiles, s.at("nblocks"));
  p.m_blocks = ceil_div(p.m_tiles, p.block_m);
  p.n_blocks = ceil_div(p.n_tiles, p.block_n);
  // A pair of terms has one answer.
  if (facts.zeros && !p.direct_a && !(p.pairs && facts.zeros->terms % 2 != 0))
    p.zeros = &*facts.zeros;
  p.c = p.zeros || p.sliding ? &facts.sparse : &*context.contraction();
  if (p.m_blocks == 1) p.between = facts.between;
  p.weight_a = !p.direct_a && facts.weights_a;
  p.weight_b = !p.direct_b && facts.weights_b;
  return p;
}

}  // namespace kernelwright::expert

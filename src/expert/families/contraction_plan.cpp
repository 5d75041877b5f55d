// SPDX-License-Identifier: Apache-2.0
#include "expert/families/contraction_plan.h"

#include <algorithm>

#include "expert/emit_util.h"

namespace kernelwright::expert {

using graph::ExprNode;
using graph::ExprOp;

namespace {
int64_t whole_lines(int64_t elements) { return ceil_div(elements, 16) * 16; }
}  // namespace

int64_t ContractionPlan::a_elements() const { return direct_a || weight_a ? 0 : whole_lines(block_m * mr * k); }
int64_t ContractionPlan::b_elements() const { return direct_b || weight_b ? 0 : whole_lines(block_n * nr * k); }
int64_t ContractionPlan::c_elements() const { return whole_lines(block_m * mr * block_n * nr); }

bool only_weights(const OpContext& context, const graph::Expr& operand) {
  bool weights = true;
  graph::visit(operand, [&](const ExprNode& node) {
    if (node.op != ExprOp::kLoad) return;
    weights = weights && context.graph.tensors[static_cast<size_t>(node.tensor)].role == graph::TensorRole::kWeight;
  });
  return weights;
}

std::optional<DirectOperand> direct_operand(const OpContext& context, const rewrite::Contraction& c, bool side_a, bool wide) {
  const graph::Expr& operand = side_a ? c.a : c.b;
  const std::vector<int>& rows = side_a ? c.m : c.n;
  if (operand->op != ExprOp::kLoad || rows.size() > 1 || c.k.size() != 1) return std::nullopt;
  if (context.type(operand->tensor).dtype != (wide ? graph::DType::kF64 : graph::DType::kF32)) return std::nullopt;
  const auto affine = rewrite::affine_of(c.nest, operand->operands[0]);
  if (!affine) return std::nullopt;
  DirectOperand direct;
  direct.tensor = operand->tensor;
  direct.row_stride = rows.empty() ? 0 : affine->coefficients[static_cast<size_t>(rows[0])];
  direct.k_stride = affine->coefficients[static_cast<size_t>(c.k[0])];
  if (!side_a && (rows.empty() || direct.row_stride != 1)) return std::nullopt;
  return direct;
}

ContractionPlan plan_contraction(const OpContext& context, const Schedule& s) {
  ContractionPlan p;
  p.c = &*context.contraction();
  p.wide = real_of(context, p.c->nest) == cpp::Real::kF64;
  p.lanes = context.vector_bytes() / p.element_bytes();
  p.batch = p.c->extent(p.c->batch);
  p.m = p.c->extent(p.c->m);
  p.n = p.c->extent(p.c->n);
  p.k = p.c->extent(p.c->k);
  p.inner = p.c->n.empty() ? 1 : p.c->nest.extents[static_cast<size_t>(p.c->n.back())];
  p.mr = s.at("mr");
  p.nv = s.at("nv");
  p.nr = p.nv * p.lanes;
  p.kc = s.at("kc") == 0 ? p.k : std::min(p.k, s.at("kc"));
  p.flat = s.at("flat") != 0;
  p.n_fastest = s.at("order") != 0;
  p.direct_a = s.at("direct_a") != 0;
  p.direct_b = s.at("direct_b") != 0;
  p.m_tiles = ceil_div(p.m, p.mr);
  p.inner_tiles = ceil_div(p.inner, p.nr);
  p.n_tiles = p.flat ? ceil_div(p.n, p.nr) : p.n / p.inner * p.inner_tiles;
  p.block_m = ceil_div(p.m_tiles, s.at("mblocks"));
  p.block_n = ceil_div(p.n_tiles, s.at("nblocks"));
  p.m_blocks = ceil_div(p.m_tiles, p.block_m);
  p.n_blocks = ceil_div(p.n_tiles, p.block_n);
  p.weight_a = !p.direct_a && only_weights(context, p.c->a);
  p.weight_b = !p.direct_b && only_weights(context, p.c->b);
  return p;
}

}  // namespace kernelwright::expert

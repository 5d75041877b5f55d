// SPDX-License-Identifier: Apache-2.0
#include "expert/families/attention_plan.h"

#include <algorithm>
#include <cmath>

#include "expert/dialects/spelling.h"
#include "expert/emit_util.h"

namespace kernelwright::expert {

using graph::Expr;
using graph::ExprOp;
using rewrite::Attention;

namespace {

// Bytes of packed keys and values that a worker may hold for a whole batch element.
constexpr int64_t kWholeBytes = 2 << 20;

int64_t up_to(int64_t value, int64_t multiple) {
  return ceil_div(value, multiple) * multiple;
}

std::optional<DirectKeys> direct_keys(const OpContext& context, const Attention& a,
                                      const Expr& operand, int along) {
  if (operand->op != ExprOp::kLoad || context.type(operand->tensor).dtype != graph::DType::kF32)
    return std::nullopt;
  const auto affine = rewrite::affine_of(a.nest, operand->operands[0]);
  if (!affine) return std::nullopt;
  return DirectKeys{operand->tensor, affine->coefficients[static_cast<size_t>(a.keys)],
                    affine->coefficients[static_cast<size_t>(along)]};
}

// The limit that a score of the form "condition ? x : -infinity" sets.
std::optional<KeyLimit> key_limit(const Attention& a) {
  if (a.score->op != ExprOp::kSelect) return std::nullopt;
  const Expr& other = a.score->operands[2];
  const Expr& condition = a.score->operands[0];
  const bool less = condition->op == ExprOp::kLe || condition->op == ExprOp::kLt;
  const bool more = condition->op == ExprOp::kGe || condition->op == ExprOp::kGt;
  if ((!less && !more) || other->op != ExprOp::kConst || other->real_value != -HUGE_VAL ||
      condition->operands[0]->kind != graph::ScalarKind::kInt ||
      condition->operands[1]->kind != graph::ScalarKind::kInt)
    return std::nullopt;
  // low <= high, as high - low >= 0.
  const Expr& low = condition->operands[less ? 0 : 1];
  const Expr& high = condition->operands[less ? 1 : 0];
  const bool strict = condition->op == ExprOp::kLt || condition->op == ExprOp::kGt;
  const auto room = rewrite::affine_of(a.nest, high - low);
  if (!room) return std::nullopt;
  const int64_t step = -room->coefficients[static_cast<size_t>(a.keys)];
  if (step <= 0) return std::nullopt;
  KeyLimit limit;
  limit.step = step;
  limit.reach = graph::integer(room->constant - (strict ? 1 : 0));
  for (int axis = 0; axis < a.nest.rank(); ++axis) {
    const int64_t c = room->coefficients[static_cast<size_t>(axis)];
    if (axis == a.keys || c == 0) continue;
    if (axis == a.row) limit.row = c;
    limit.reach = limit.reach + graph::axis(axis) * graph::integer(c);
  }
  return limit;
}

}  // namespace

std::optional<AttentionFacts> attention_facts(const OpContext& context) {
  const auto& found = context.attention();
  if (!found) return std::nullopt;
  const Attention& a = *found;
  std::vector<graph::TensorType> types;
  for (const auto& tensor : context.graph.tensors) types.push_back(tensor.type);
  if (code::computing_type({a.query, a.key, a.score, a.value, a.nest.finish},
                           {context.type(a.nest.output).dtype}, types) != code::Real::kF32)
    return std::nullopt;
  AttentionFacts f;
  f.lanes = context.vector_bytes() / 4;
  for (int axis : a.batch) f.batch *= a.extent(axis);
  f.rows = a.extent(a.row);
  f.keys = a.extent(a.keys);
  f.depth = a.extent(a.depth);
  f.columns = a.extent(a.column);
  if (f.batch * f.rows * f.keys * f.depth * f.columns == 0) return std::nullopt;
  f.direct_key = direct_keys(context, a, a.key, a.depth);
  f.direct_value = direct_keys(context, a, a.value, a.column);
  if (f.direct_value && (f.direct_value->stride != 1 || f.columns % f.lanes != 0))
    f.direct_value.reset();
  f.limit = key_limit(a);
  f.score_cost = rewrite::arithmetic_cost(a.score);
  f.finish_cost = rewrite::arithmetic_cost(a.nest.finish);
  if (a.row >= 0) {
    graph::visit(a.score, [&](const graph::ExprNode& node) {
      if (node.op != ExprOp::kLoad) return;
      const auto along = coefficient(a.nest, node.operands[0], a.row);
      f.strided_loads += !along || *along > 1 ? 1 : 0;
    });
  }
  return f;
}

int64_t AttentionPlan::query_elements() const {
  return up_to(facts.depth * pitch, 16);
}
int64_t AttentionPlan::score_elements() const {
  return up_to(keys * pitch, 16);
}
int64_t AttentionPlan::out_elements() const {
  return up_to(out_rows * out_pitch, 16);
}
int64_t AttentionPlan::key_elements() const {
  return direct_key ? 0 : up_to(packed_keys() * facts.depth, 16);
}
int64_t AttentionPlan::value_elements() const {
  return direct_value ? 0 : up_to(packed_keys() * out_pitch, 16);
}
int64_t AttentionPlan::row_elements() const {
  return up_to(pitch, 16);
}
int64_t AttentionPlan::scratch_elements() const {
  return query_elements() + score_elements() + out_elements() + key_elements() + value_elements() +
         7 * row_elements();
}

int64_t AttentionPlan::keys_of(int64_t row) const {
  if (!facts.limit) return facts.keys;
  const int64_t end = std::min(facts.rows, row + rows) - 1;
  int64_t reach = (facts.limit->row > 0 ? end : row) * facts.limit->row;
  const auto affine = rewrite::affine_of(a->nest, facts.limit->reach);
  reach += affine ? affine->constant : 0;
  const int64_t count = reach < 0 ? 1 : reach / facts.limit->step + 1;
  return std::min(facts.keys, up_to(count, score_mr));
}

AttentionPlan plan_attention(const OpContext& context, const Schedule& s) {
  AttentionPlan p;
  p.a = &*context.attention();
  p.facts = *attention_facts(context);
  const AttentionFacts& f = p.facts;
  p.rows = s.at("rows");
  p.row_blocks = ceil_div(f.rows, p.rows);
  p.score_mr = s.at("score_mr");
  p.score_nv = s.at("score_nv");
  p.value_mr = s.at("value_mr");
  p.value_nv = s.at("value_nv");
  const int64_t most = s.at("keys");
  p.keys = f.keys <= most ? up_to(f.keys, p.score_mr) : most / p.score_mr * p.score_mr;
  const bool direct = s.at("direct") != 0;
  p.direct_key = direct && f.direct_key.has_value();
  p.direct_value = direct && f.direct_value && f.columns % (p.value_nv * f.lanes) == 0;
  p.out_rows = up_to(std::min(p.rows, f.rows), p.value_mr);
  p.out_pitch = up_to(f.columns, p.value_nv * f.lanes);
  p.pitch = p.rows;
  p.depth_slice = f.depth <= 256 ? f.depth : 128;
  const int64_t bytes =
      4 * f.keys * ((p.direct_key ? 0 : f.depth) + (p.direct_value ? 0 : p.out_pitch));
  p.whole = bytes > 0 && bytes <= kWholeBytes && p.row_blocks > 1;
  return p;
}

}  // namespace kernelwright::expert

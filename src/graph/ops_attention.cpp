// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

// query [..., L, E], key [..., S, E], value [..., S, Ev]; leading dimensions broadcast.
Result<std::vector<TensorType>> infer_attention(const Graph& graph, const Node& node) {
  KW_TRY(TensorType query, operand_type(graph, node, "query"));
  KW_TRY(TensorType key, operand_type(graph, node, "key"));
  KW_TRY(TensorType value, operand_type(graph, node, "value"));
  if (node.float_arg("dropout_p", 0) != 0) return op_error(node, "dropout is random");
  if (query.shape.size() < 2 || key.shape.size() != query.shape.size() ||
      value.shape.size() != query.shape.size())
    return op_error(node, "query, key and value must have one rank");
  const size_t rank = query.shape.size();
  if (query.shape[rank - 1] != key.shape[rank - 1] || key.shape[rank - 2] != value.shape[rank - 2])
    return op_error(node, "query, key and value do not fit");
  Shape q = query.shape;
  const bool grouped = node.bool_arg("enable_gqa", false);
  if (grouped && (rank < 3 || key.shape[rank - 3] < 1 || q[rank - 3] % key.shape[rank - 3] != 0 ||
                  value.shape[rank - 3] != key.shape[rank - 3]))
    return op_error(node, "heads do not divide into groups");
  auto leading = [&](const Shape& shape) {
    return Shape(shape.begin(), shape.end() - (grouped ? 3 : 2));
  };
  KW_TRY(Shape out, broadcast_shapes(node, {leading(q), leading(key.shape), leading(value.shape)}));
  if (grouped) out.push_back(q[rank - 3]);
  out.push_back(q[rank - 2]);
  out.push_back(value.shape[rank - 1]);
  return one_type(query.dtype, out);
}

// Scores, row maxima, row sums, probabilities, weighted sum of values.
Status define_attention(Lowering& lowering) {
  const Node& node = lowering.node();
  const int query = lowering.operand("query"), key = lowering.operand("key"),
            value = lowering.operand("value");
  const int mask = lowering.operand("attn_mask");
  const Shape q = lowering.type(query).shape, k = lowering.type(key).shape,
              v = lowering.type(value).shape;
  const Shape out = lowering.output_type().shape;
  const size_t rank = out.size();
  const int64_t rows = q[rank - 2], columns = k[rank - 2], inner = q[rank - 1];
  const DType dtype = accumulate_dtype(lowering.type(query).dtype);
  const bool grouped = node.bool_arg("enable_gqa", false);
  const int row = static_cast<int>(rank) - 2, column = row + 1, reduce = static_cast<int>(rank);

  // Leading index of an operand; with grouped heads several query heads share one of its heads.
  auto leading = [&](const Shape& shape) {
    std::vector<Expr> index;
    for (size_t i = 0; i + 2 < rank; ++i) {
      Expr at = axis(static_cast<int>(i));
      if (grouped && i + 3 == rank) at = binary(ExprOp::kFloorDiv, at, integer(out[i] / shape[i]));
      index.push_back(shape[i] == 1 ? integer(0) : at);
    }
    return index;
  };
  auto at = [&](int tensor, const Shape& shape, const Expr& i, const Expr& j) {
    std::vector<Expr> index = leading(shape);
    index.push_back(i);
    index.push_back(j);
    return load_of(lowering, tensor, std::move(index));
  };

  Shape scores_shape(out.begin(), out.end() - 2);
  scores_shape.push_back(rows);
  scores_shape.push_back(columns);
  const double scale = node.float_arg("scale", 1 / std::sqrt(static_cast<double>(inner)));
  const Expr minus_infinity = constant(-std::numeric_limits<double>::infinity());
  Expr finish = reduced(ScalarKind::kReal) * constant(scale);
  if (mask >= 0) {
    Expr m = lowering.broadcast_load(mask, scores_shape);
    finish = m->kind == ScalarKind::kBool ? select(m, finish, minus_infinity) : finish + m;
  }
  if (node.bool_arg("is_causal", false))
    finish = select(binary(ExprOp::kLe, axis(column), axis(row)), finish, minus_infinity);
  const int scores = lowering.define_temporary(
      {dtype, scores_shape, {}},
      reduce_stage(Combiner::kSum, {inner},
                   at(query, q, axis(row), axis(reduce)) * at(key, k, axis(column), axis(reduce)),
                   finish));
  const SoftmaxRows softmax = softmax_rows(lowering, scores, rank - 1, dtype);
  Expr shifted = load_of(lowering, scores, axes_from(0, rank)) - softmax.maximum;
  Expr probability = binary(ExprOp::kDiv, unary(ExprOp::kExp, shifted), softmax.sum);
  // PyTorch gives zeros, not NaN, to a row that a boolean or infinite mask leaves empty.
  if (mask >= 0)
    probability =
        select(binary(ExprOp::kEq, softmax.maximum, minus_infinity), constant(0), probability);
  const int weights =
      lowering.define_temporary({dtype, scores_shape, {}}, plain_stage(probability));

  std::vector<Expr> weight_at = axes_from(0, rank);
  weight_at.back() = axis(reduce);
  Expr weight = load_of(lowering, weights, weight_at);
  // What a causal mask made zero need not be added.
  if (node.bool_arg("is_causal", false))
    weight = select(binary(ExprOp::kLe, axis(reduce), axis(row)), weight, constant(0));
  lowering.define(0, reduce_stage(Combiner::kSum, {columns},
                                  weight * at(value, v, axis(reduce), axis(column))));
  return {};
}

}  // namespace

void add_attention_ops(OpList& ops) {
  ops.push_back({"aten.scaled_dot_product_attention.default", OpClass::kAttention, infer_attention,
                 define_attention, nullptr});
}

}  // namespace kernelwright::graph

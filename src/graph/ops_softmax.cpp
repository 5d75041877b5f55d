// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

// Maximum, sum of exponentials, quotient: three stages over the same rows.
OpEntry softmax_op(std::string name, bool log) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kNormalization;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<std::vector<TensorType>> {
    KW_TRY(TensorType type, operand_type(graph, node, "self"));
    KW_CHECK_OK(normalize_dim(node, node.int_arg("dim", 0), type.shape.size()));
    return one_type(dtype_arg(node, "dtype", type.dtype), type.shape);
  };
  entry.define = [log](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    KW_TRY(int64_t dim, normalize_dim(lowering.node(), lowering.node().int_arg("dim", 0),
                                      lowering.type(from).shape.size()));
    auto rows =
        softmax_rows(lowering, from, static_cast<size_t>(dim), lowering.output_type().dtype);
    Expr shifted = load_of(lowering, from, axes_from(0, rows.rank)) - rows.maximum;
    Expr body = log ? shifted - unary(ExprOp::kLog, rows.sum)
                    : binary(ExprOp::kDiv, unary(ExprOp::kExp, shifted), rows.sum);
    lowering.define(0, plain_stage(std::move(body)));
    return {};
  };
  return entry;
}

}  // namespace

SoftmaxRows softmax_rows(Lowering& lowering, int tensor, size_t dim, DType result) {
  const TensorType type = lowering.type(tensor);
  const size_t rank = type.shape.size();
  if (rank == 0) {
    Expr value = load_of(lowering, tensor, {});
    return {0, value, constant(1)};
  }
  Shape rows = type.shape;
  rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(dim));
  const DType dtype = accumulate_dtype(result);
  // Index of the operand from a row's position, with the reduction axis at `dim`.
  std::vector<Expr> index = axes_from(0, rank - 1);
  index.insert(index.begin() + static_cast<std::ptrdiff_t>(dim), axis(static_cast<int>(rank) - 1));
  std::vector<Expr> row = axes_from(0, rank);
  row.erase(row.begin() + static_cast<std::ptrdiff_t>(dim));
  const std::vector<int64_t> extent = {type.shape[dim]};
  const Expr value = load_of(lowering, tensor, index);
  const int top =
      lowering.define_temporary({dtype, rows, {}}, reduce_stage(Combiner::kMax, extent, value));
  Expr exponential = unary(ExprOp::kExp, value - load_of(lowering, top, axes_from(0, rank - 1)));
  const int sum = lowering.define_temporary({dtype, rows, {}},
                                            reduce_stage(Combiner::kSum, extent, exponential));
  return {rank, load_of(lowering, top, row), load_of(lowering, sum, row)};
}

void add_softmax_ops(OpList& ops) {
  for (const char* name : {"aten.softmax.int", "aten._softmax.default"})
    ops.push_back(softmax_op(name, false));
  for (const char* name : {"aten.log_softmax.int", "aten._log_softmax.default"})
    ops.push_back(softmax_op(name, true));
}

}  // namespace kernelwright::graph

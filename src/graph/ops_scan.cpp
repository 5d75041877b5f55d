// SPDX-License-Identifier: Apache-2.0
// Running values: reductions over the positions up to this one. match_scan (scan.h) knows them
// again, so that a row is one pass.
#include <cmath>

#include "graph/op_support.h"
#include "graph/scan.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

struct Row {
  Shape shape;
  size_t dim = 0;

  static Result<Row> of(const Node& node, const Shape& shape) {
    KW_TRY(int64_t dim, normalize_dim(node, node.int_arg("dim", 0), shape.size()));
    return Row{shape, static_cast<size_t>(dim)};
  }
  bool scalar() const { return shape.empty(); }
  int64_t length() const { return scalar() ? 1 : shape[dim]; }
  // Position of the output's element, and of the one that the reduction is at.
  Expr here() const { return scalar() ? integer(0) : axis(static_cast<int>(dim)); }
  Expr there() const { return axis(static_cast<int>(shape.size())); }
  // Index of the element at the reduction axis.
  std::vector<Expr> index() const {
    std::vector<Expr> at = axes_from(0, shape.size());
    if (!scalar()) at[dim] = there();
    return at;
  }
  // `value` (of the element that the reduction is at) over all positions up to this one.
  Stage running(Combiner combiner, const Expr& value, Expr finish = nullptr) const {
    const Expr seen = binary(ExprOp::kLe, there(), here());
    return reduce_stage(combiner, {length()},
                        select(seen, value, neutral_element(combiner, value->kind)),
                        std::move(finish));
  }
};

OpEntry cumulative_op(std::string name, Combiner combiner) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kScan;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_CHECK_OK(Row::of(node, from.shape));
    const DType kept = is_float(from.dtype) ? from.dtype : DType::kI64;
    return one_type(dtype_arg(node, "dtype", kept), from.shape);
  };
  entry.define = [combiner](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    const DType to = lowering.output_type().dtype;
    KW_TRY(Row row, Row::of(lowering.node(), lowering.type(from).shape));
    Expr value = load_of(lowering, from, row.index());
    // A conversion comes first, as in PyTorch.
    if (lowering.type(from).dtype != to) value = cast(to, value);
    if (value->kind == ScalarKind::kBool) value = cast(DType::kI64, value);
    lowering.define(0, row.running(combiner, value));
    return {};
  };
  return entry;
}

// Running maximum (or minimum) and its position, the last of equals; NaN wins for good. A position
// counts when its element is as large as all before it.
OpEntry running_extreme_op(std::string name, bool max) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kScan;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_CHECK_OK(Row::of(node, from.shape));
    return Types{from, {DType::kI64, from.shape, {}}};
  };
  entry.define = [max](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    const TensorType type = lowering.type(from);
    KW_TRY(Row row, Row::of(lowering.node(), type.shape));
    Expr value = load_of(lowering, from, row.index());
    if (value->kind == ScalarKind::kBool) value = cast(DType::kI64, value);
    const Combiner combiner = max ? Combiner::kMax : Combiner::kMin;
    const int values = lowering.define_temporary(type, row.running(combiner, value));
    lowering.define(0, plain_stage(load_of(lowering, values, axes_from(0, type.shape.size()))));
    Expr record = binary(ExprOp::kEq, value, load_of(lowering, values, row.index()));
    if (value->kind == ScalarKind::kReal)
      record = binary(ExprOp::kOr, record, unary(ExprOp::kIsNan, value));
    lowering.define(1, row.running(Combiner::kMax, select(record, row.there(), integer(0))));
    return {};
  };
  return entry;
}

// log of the running sum of exponentials, each sum taken relative to its own maximum. So the terms
// change with the position, and the row is quadratic.
OpEntry log_sum_op() {
  OpEntry entry = cumulative_op("aten.logcumsumexp.default", Combiner::kSum);
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_CHECK_OK(Row::of(node, from.shape));
    if (!is_float(from.dtype)) return op_error(node, "only on floats");
    return Types{from};
  };
  entry.define = [](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    const TensorType type = lowering.type(from);
    KW_TRY(Row row, Row::of(lowering.node(), type.shape));
    const Expr value = load_of(lowering, from, row.index());
    const Expr acc = reduced(ScalarKind::kReal);
    // A row that is infinite so far is measured from 0.
    const Expr finite = binary(ExprOp::kNe, unary(ExprOp::kAbs, acc), constant(INFINITY));
    const int top = lowering.define_temporary(
        {accumulate_dtype(type.dtype), type.shape, {}},
        row.running(Combiner::kMax, value, select(finite, acc, constant(0))));
    const Expr shift = load_of(lowering, top, axes_from(0, type.shape.size()));
    lowering.define(0, row.running(Combiner::kSum, unary(ExprOp::kExp, value - shift),
                                   unary(ExprOp::kLog, acc) + shift));
    return {};
  };
  return entry;
}

}  // namespace

void add_scan_ops(OpList& ops) {
  ops.push_back(cumulative_op("aten.cumsum.default", Combiner::kSum));
  ops.push_back(cumulative_op("aten.cumprod.default", Combiner::kProd));
  ops.push_back(running_extreme_op("aten.cummax.default", true));
  ops.push_back(running_extreme_op("aten.cummin.default", false));
  ops.push_back(log_sum_op());
}

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
// Ops that order the elements of a row. The rank of an element is the number of elements before it;
// the element of rank k is found by that. Quadratic in the row, so long rows stay in eager.
#include <fmt/format.h>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

constexpr int64_t kLongestRow = 2048;

// a > b, where NaN counts as the largest.
Expr greater(const Expr& a, const Expr& b) {
  Expr out = binary(ExprOp::kGt, a, b);
  if (a->kind != ScalarKind::kReal) return out;
  return binary(ExprOp::kOr, out,
                binary(ExprOp::kAnd, unary(ExprOp::kIsNan, a),
                       unary(ExprOp::kNot, unary(ExprOp::kIsNan, b))));
}

Expr equal(const Expr& a, const Expr& b) {
  Expr out = binary(ExprOp::kEq, a, b);
  if (a->kind != ScalarKind::kReal) return out;
  return binary(ExprOp::kOr, out,
                binary(ExprOp::kAnd, unary(ExprOp::kIsNan, a), unary(ExprOp::kIsNan, b)));
}

Expr count_where(Expr condition) {
  return select(std::move(condition), integer(1), integer(0));
}

// A tensor and the dimension along which it is ordered; a scalar counts as a row of one.
struct Rows {
  int tensor = -1;
  Shape shape;
  size_t dim = 0;

  bool scalar() const { return shape.empty(); }
  int64_t length() const { return scalar() ? 1 : shape[dim]; }
  Expr at(const Lowering& lowering, int from, std::vector<Expr> index, const Expr& position) const {
    if (!scalar()) index[dim] = position;
    return load_of(lowering, from, std::move(index));
  }
  Shape without_dim() const {
    Shape out = shape;
    if (!scalar()) out.erase(out.begin() + static_cast<std::ptrdiff_t>(dim));
    return out;
  }
  // An index of the tensor from one without its dimension.
  std::vector<Expr> insert(std::vector<Expr> index) const {
    if (!scalar()) index.insert(index.begin() + static_cast<std::ptrdiff_t>(dim), integer(0));
    return index;
  }
};

Result<Rows> rows_of(const Node& node, const Shape& shape, int64_t dim) {
  KW_TRY(int64_t d, normalize_dim(node, dim, shape.size()));
  Rows rows{-1, shape, static_cast<size_t>(d)};
  if (rows.length() > kLongestRow)
    return op_error(
        node, fmt::format("orders rows of {} elements, more than {}", rows.length(), kLongestRow));
  return rows;
}

// How many elements of its row stand before each element; equal ones keep their order.
int rank_of_elements(Lowering& lowering, const Rows& rows, bool descending) {
  const size_t rank = rows.shape.size();
  std::vector<Expr> here = axes_from(0, rank);
  const Expr other_position = axis(static_cast<int>(rank));
  const Expr mine = load_of(lowering, rows.tensor, here);
  const Expr other = rows.at(lowering, rows.tensor, here, other_position);
  const Expr position = rows.scalar() ? integer(0) : here[rows.dim];
  Expr before = descending ? greater(other, mine) : greater(mine, other);
  before = binary(
      ExprOp::kOr, before,
      binary(ExprOp::kAnd, equal(other, mine), binary(ExprOp::kLt, other_position, position)));
  return lowering.define_temporary(
      {DType::kI64, rows.shape, {}},
      reduce_stage(Combiner::kSum, {rows.length()}, count_where(before)));
}

// Position of the element of rank `wanted` (over the axes of `shape`), as a tensor of `shape`.
// `index` is the element's index at those axes, its own dimension left open.
int position_of_rank(Lowering& lowering, const Rows& rows, int ranks, const Shape& shape,
                     const std::vector<Expr>& index, const Expr& wanted) {
  const Expr position = axis(static_cast<int>(shape.size()));
  return lowering.define_temporary(
      {DType::kI64, shape, {}},
      reduce_stage(
          Combiner::kArgMax, {rows.length()},
          count_where(binary(ExprOp::kEq, rows.at(lowering, ranks, index, position), wanted))));
}

Status define_ordered(Lowering& lowering, bool descending, bool positions_only) {
  const Node& node = lowering.node();
  const int from = lowering.operand("self");
  KW_TRY(Rows rows, rows_of(node, lowering.type(from).shape, node.int_arg("dim", -1)));
  rows.tensor = from;
  const Shape to = lowering.output_type().shape;
  const int ranks = rank_of_elements(lowering, rows, descending);
  const std::vector<Expr> here = axes_from(0, to.size());
  const Expr wanted = rows.scalar() ? integer(0) : here[rows.dim];
  const int positions = position_of_rank(lowering, rows, ranks, to, here, wanted);
  const Expr found = load_of(lowering, positions, here);
  if (!positions_only) lowering.define(0, plain_stage(rows.at(lowering, from, here, found)));
  lowering.define(positions_only ? 0 : 1, plain_stage(found));
  return {};
}

OpEntry sort_op(std::string name, bool positions_only) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [positions_only](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_CHECK_OK(rows_of(node, from.shape, node.int_arg("dim", -1)));
    const TensorType positions{DType::kI64, from.shape, {}};
    return positions_only ? Types{positions} : Types{from, positions};
  };
  entry.define = [positions_only](Lowering& lowering) {
    return define_ordered(lowering, lowering.node().bool_arg("descending", false), positions_only);
  };
  return entry;
}

// The k largest or smallest, in order.
OpEntry topk_op() {
  OpEntry entry;
  entry.name = "aten.topk.default";
  entry.op_class = OpClass::kMove;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_TRY(Rows rows, rows_of(node, from.shape, node.int_arg("dim", -1)));
    const int64_t k = node.int_arg("k", 1);
    if (k < 0 || k > rows.length()) return op_error(node, "k is out of range");
    if (!rows.scalar()) from.shape[rows.dim] = k;
    return Types{from, {DType::kI64, from.shape, {}}};
  };
  entry.define = [](Lowering& lowering) {
    return define_ordered(lowering, lowering.node().bool_arg("largest", true), false);
  };
  return entry;
}

// Rank of the median at the axes of a tensor without the rows' dimension: in the middle, or of the
// first NaN.
Expr median_rank(Lowering& lowering, const Rows& rows) {
  const Expr middle = integer((rows.length() - 1) / 2);
  if (!is_float(lowering.type(rows.tensor).dtype)) return middle;
  const Shape lead = rows.without_dim();
  const std::vector<Expr> index = rows.insert(axes_from(0, lead.size()));
  const Expr element = rows.at(lowering, rows.tensor, index, axis(static_cast<int>(lead.size())));
  const int holes = lowering.define_temporary(
      {DType::kI64, lead, {}},
      reduce_stage(Combiner::kSum, {rows.length()}, count_where(unary(ExprOp::kIsNan, element))));
  const Expr count = load_of(lowering, holes, axes_from(0, lead.size()));
  return select(binary(ExprOp::kGt, count, integer(0)), integer(rows.length()) - count, middle);
}

// The k-th smallest element and its position. The median is the lower of the two in the middle, or
// NaN where there is one.
OpEntry nth_op(std::string name, bool median) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kReduction;
  entry.infer = [median](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_TRY(Rows rows, rows_of(node, from.shape, node.int_arg("dim", -1)));
    if (!median && (node.int_arg("k", 1) < 1 || node.int_arg("k", 1) > rows.length()))
      return op_error(node, "k is out of range");
    Shape out = rows.without_dim();
    if (node.bool_arg("keepdim", false) && !rows.scalar())
      out.insert(out.begin() + static_cast<std::ptrdiff_t>(rows.dim), 1);
    return Types{{from.dtype, out, {}}, {DType::kI64, out, {}}};
  };
  entry.define = [median](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int from = lowering.operand("self");
    KW_TRY(Rows rows, rows_of(node, lowering.type(from).shape, node.int_arg("dim", -1)));
    rows.tensor = from;
    const Shape lead = rows.without_dim();
    const std::vector<Expr> index = rows.insert(axes_from(0, lead.size()));
    const int ranks = rank_of_elements(lowering, rows, false);
    const Expr wanted = median ? median_rank(lowering, rows) : integer(node.int_arg("k", 1) - 1);
    const int positions = position_of_rank(lowering, rows, ranks, lead, index, wanted);
    // The results may keep the dimension.
    std::vector<Expr> here = axes_from(0, lowering.output_type().shape.size()), row = here;
    if (row.size() > lead.size()) row.erase(row.begin() + static_cast<std::ptrdiff_t>(rows.dim));
    const Expr found = load_of(lowering, positions, row);
    lowering.define(0, plain_stage(rows.at(lowering, from, rows.insert(row), found)));
    lowering.define(1, plain_stage(found));
    return {};
  };
  return entry;
}

// The median of all elements, laid out as one row.
OpEntry whole_median_op() {
  OpEntry entry;
  entry.name = "aten.median.default";
  entry.op_class = OpClass::kReduction;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_CHECK_OK(rows_of(node, {from.elements()}, 0));
    return one_type(from.dtype, {});
  };
  entry.define = [](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    const TensorType type = lowering.type(from);
    KW_TRY(Rows rows, rows_of(lowering.node(), {type.elements()}, 0));
    rows.tensor = lowering.define_temporary(
        {type.dtype, rows.shape, {}},
        plain_stage(load_of(lowering, from, unflatten_index(axis(0), type.shape))));
    const int ranks = rank_of_elements(lowering, rows, false);
    const int positions =
        position_of_rank(lowering, rows, ranks, {}, {integer(0)}, median_rank(lowering, rows));
    lowering.define(
        0, plain_stage(load_of(lowering, rows.tensor, {load_of(lowering, positions, {})})));
    return {};
  };
  return entry;
}

// bucketize and searchsorted: how many boundaries lie before a value, which `right` counts among
// them. The boundaries are one sorted row, or (searchsorted) one per row of values.
OpEntry search_op(std::string name, const std::string& boundaries, const std::string& values) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kReduction;
  entry.infer = [boundaries, values](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType rows, operand_type(graph, node, boundaries));
    KW_TRY(TensorType wanted, operand_type(graph, node, values));
    if (node.value_arg("sorter")) return op_error(node, "a sorter is not supported");
    bool fits = rows.shape.size() == 1;
    if (rows.shape.size() > 1 && rows.shape.size() == wanted.shape.size())
      fits = std::equal(rows.shape.begin(), rows.shape.end() - 1, wanted.shape.begin());
    if (!fits) return op_error(node, "boundaries do not fit the values");
    const bool narrow = node.bool_arg("out_int32", false);
    return one_type(narrow ? DType::kI32 : DType::kI64, wanted.shape);
  };
  entry.define = [boundaries, values](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int rows = lowering.operand(boundaries), wanted = lowering.operand(values);
    const Shape shape = lowering.type(rows).shape;
    const size_t rank = lowering.output_type().shape.size();
    const auto* side = std::get_if<std::string>(&node.arg("side").data);
    const bool right = node.bool_arg("right", false) || (side && *side == "right");
    std::vector<Expr> index = axes_from(0, shape.size() - 1);
    index.push_back(axis(static_cast<int>(rank)));
    const Expr boundary = load_of(lowering, rows, std::move(index));
    const Expr value = load_of(lowering, wanted, axes_from(0, rank));
    // NaN lies behind everything.
    const Expr before =
        right ? unary(ExprOp::kNot, greater(boundary, value)) : greater(value, boundary);
    lowering.define(0, reduce_stage(Combiner::kSum, {shape.back()}, count_where(before)));
    return {};
  };
  return entry;
}

}  // namespace

void add_sort_ops(OpList& ops) {
  ops.push_back(sort_op("aten.sort.default", false));
  ops.push_back(sort_op("aten.sort.stable", false));
  ops.push_back(sort_op("aten.argsort.default", true));
  ops.push_back(sort_op("aten.argsort.stable", true));
  ops.push_back(topk_op());
  ops.push_back(nth_op("aten.kthvalue.default", false));
  ops.push_back(nth_op("aten.median.dim", true));
  ops.push_back(whole_median_op());
  ops.push_back(search_op("aten.bucketize.Tensor", "boundaries", "self"));
  ops.push_back(search_op("aten.searchsorted.Tensor", "sorted_sequence", "self"));
}

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "graph/op_table.h"

// What the entries of the op table share. For ops_*.cpp only; see docs/adding-an-op.md.
namespace kernelwright::graph {

using OpList = std::vector<OpEntry>;

// One function per ops_*.cpp, called by op_table.cpp.
void add_pointwise_ops(OpList& ops);
void add_constant_ops(OpList& ops);
void add_move_ops(OpList& ops);
void add_join_ops(OpList& ops);
void add_index_ops(OpList& ops);
void add_reduction_ops(OpList& ops);
void add_softmax_ops(OpList& ops);
void add_contraction_ops(OpList& ops);
void add_convolution_ops(OpList& ops);
void add_normalization_ops(OpList& ops);
void add_pooling_ops(OpList& ops);
void add_attention_ops(OpList& ops);
void add_loss_ops(OpList& ops);
void add_sort_ops(OpList& ops);
void add_scatter_ops(OpList& ops);
void add_scan_ops(OpList& ops);
void add_recurrence_ops(OpList& ops);

// A pointwise op in one line: operands by schema name, of which `x` and `y` abbreviate self and
// other, attributes as $name (scalar_parser.h). The result's shape is the operands' broadcast; its
// dtype follows PyTorch's promotion.
enum class ResultType : uint8_t {
  kPromoted,  // of the operands, not of the attributes
  kFloat,     // the same, but integers give f32
  kBool,
};
OpEntry pointwise(std::string name, const std::string& text,
                  ResultType result = ResultType::kPromoted);

tl::unexpected<Error> op_error(const Node& node, const std::string& what);

// Type of a tensor argument; kInput when it is none.
Result<TensorType> operand_type(const Graph& graph, const Node& node, const std::string& name);
std::vector<TensorType> one_type(DType dtype, Shape shape);

// PyTorch's broadcast of shapes, aligned at the right.
Result<Shape> broadcast_shapes(const Node& node, const std::vector<Shape>& shapes);
// The promoted dtype of arguments (tensors, zero-dimensional tensors and numbers rank in this
// order).
DType promoted_dtype(const Graph& graph, const Node& node, const std::vector<std::string>& names);
DType promote(DType a, DType b);
// f32 for half types, else the dtype itself: what statistics are kept in.
DType accumulate_dtype(DType dtype);

// A dimension that may count from the end; kInput when out of range. Rank 0 counts as rank 1.
Result<int64_t> normalize_dim(const Node& node, int64_t dim, size_t rank);
// An optional dtype argument.
DType dtype_arg(const Node& node, const std::string& name, DType fallback);
// A number argument as a constant of its own kind; null when it is no number.
Expr number_arg(const Node& node, const std::string& name);

// A list argument with one number per spatial dimension; one number stands for all, none for
// `fallback`.
Result<std::vector<int64_t>> spatial_list(const Node& node, const std::string& name, size_t dims,
                                          int64_t fallback);

// axis(first) .. axis(first + count - 1)
std::vector<Expr> axes_from(size_t first, size_t count);
// A load whose kind fits the tensor's dtype.
Expr load_of(const Lowering& lowering, int tensor, std::vector<Expr> index);
// Stage without reduction, and with one.
Stage plain_stage(Expr body);
Stage reduce_stage(Combiner combiner, std::vector<int64_t> extents, Expr body,
                   Expr finish = nullptr);

// Row-major position of `index` in `shape`, and the way back.
Expr flatten_index(const std::vector<Expr>& index, const Shape& shape);
std::vector<Expr> unflatten_index(const Expr& position, const Shape& shape);
// 0 <= index < extent, folded to true where the ranges of the axes prove it.
Expr in_range(const Expr& index, int64_t extent, const std::vector<int64_t>& axis_extents);

// An index that may count from the end.
Expr wrapped_index(const Expr& index, int64_t extent);

// x[indices]: index tensors broadcast together. Their dimensions stand where the first of them
// stood when they are neighbours, else in front.
struct AdvancedIndex {
  std::vector<bool> indexed;  // per dimension of x
  Shape common, result;
  size_t at = 0;  // where the common dimensions stand in the result

  // `from`: x's shape; `shapes`: of the index tensors that the node's "indices" has.
  static Result<AdvancedIndex> of(const Node& node, const Shape& from,
                                  const std::vector<Shape>& shapes);
};

// Row maxima and sums of exponentials of a tensor along `dim`, as loads at a position of the
// tensor. They are kept as precisely as `result`, the dtype of what comes of them.
struct SoftmaxRows {
  size_t rank = 0;
  Expr maximum, sum;
};
SoftmaxRows softmax_rows(Lowering& lowering, int tensor, size_t dim, DType result);

}  // namespace kernelwright::graph

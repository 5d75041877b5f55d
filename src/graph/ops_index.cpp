// SPDX-License-Identifier: Apache-2.0
// Loads at positions that are data: embedding, gather, advanced indexing; and resizing.
#include <fmt/format.h>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

OpEntry embedding_op() {
  OpEntry entry;
  entry.name = "aten.embedding.default";
  entry.op_class = OpClass::kMove;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType weight, operand_type(graph, node, "weight"));
    KW_TRY(TensorType indices, operand_type(graph, node, "indices"));
    if (weight.shape.size() != 2) return op_error(node, "weight must be a matrix");
    Shape out = indices.shape;
    out.push_back(weight.shape[1]);
    return one_type(weight.dtype, out);
  };
  entry.define = [](Lowering& lowering) -> Status {
    const size_t rank = lowering.output_type().shape.size();
    Expr row = load_of(lowering, lowering.operand("indices"), axes_from(0, rank - 1));
    lowering.define(0, plain_stage(load_of(lowering, lowering.operand("weight"),
                                           {row, axis(static_cast<int>(rank) - 1)})));
    return {};
  };
  return entry;
}

// index_select takes whole slices along `dim`, gather one element per position.
OpEntry take_op(std::string name, bool whole_slices) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [whole_slices](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_TRY(TensorType index, operand_type(graph, node, "index"));
    KW_TRY(int64_t dim, normalize_dim(node, node.int_arg("dim", 0), from.shape.size()));
    if (!whole_slices) return one_type(from.dtype, index.shape);
    if (index.shape.size() > 1) return op_error(node, "index must be a vector");
    if (!from.shape.empty()) from.shape[static_cast<size_t>(dim)] = index.elements();
    return one_type(from.dtype, from.shape);
  };
  entry.define = [whole_slices](Lowering& lowering) -> Status {
    const int from = lowering.operand("self"), index = lowering.operand("index");
    const size_t rank = lowering.output_type().shape.size();
    KW_TRY(int64_t dim, normalize_dim(lowering.node(), lowering.node().int_arg("dim", 0), rank));
    std::vector<Expr> at = axes_from(0, rank);
    if (rank > 0) {
      std::vector<Expr> where = whole_slices ? std::vector<Expr>{at[static_cast<size_t>(dim)]} : at;
      if (lowering.type(index).shape.empty()) where.clear();
      at[static_cast<size_t>(dim)] = load_of(lowering, index, std::move(where));
    }
    lowering.define(0, plain_stage(load_of(lowering, from, std::move(at))));
    return {};
  };
  return entry;
}

OpEntry advanced_index_op(std::string name) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    std::vector<Shape> shapes;
    for (int id : node.value_list_arg("indices")) {
      if (!is_integer(graph.value(id).type.dtype))
        return op_error(node, "a boolean index makes a shape that depends on data");
      shapes.push_back(graph.value(id).type.shape);
    }
    KW_TRY(AdvancedIndex index, AdvancedIndex::of(node, from.shape, shapes));
    return one_type(from.dtype, index.result);
  };
  entry.define = [](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    const Shape shape = lowering.type(from).shape;
    const std::vector<int> indices = lowering.operand_list("indices");
    std::vector<Shape> shapes;
    for (int t : indices) shapes.push_back(lowering.type(t).shape);
    KW_TRY(AdvancedIndex index, AdvancedIndex::of(lowering.node(), shape, shapes));
    std::vector<Expr> at;
    size_t plain = 0, next = 0;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (!index.indexed[i]) {
        at.push_back(
            axis(static_cast<int>(plain < index.at ? plain : plain + index.common.size())));
        ++plain;
        continue;
      }
      const int t = indices[next++];
      const Shape own = lowering.type(t).shape;
      std::vector<Expr> where;
      for (size_t d = 0; d < own.size(); ++d)
        where.push_back(
            own[d] == 1 ? integer(0)
                        : axis(static_cast<int>(index.at + index.common.size() - own.size() + d)));
      at.push_back(wrapped_index(load_of(lowering, t, std::move(where)), shape[i]));
    }
    lowering.define(0, plain_stage(load_of(lowering, from, std::move(at))));
    return {};
  };
  return entry;
}

// Output extents of an upsampling: given, or the input's times a factor.
Result<Shape> upsampled(const Node& node, const Shape& from) {
  if (from.size() != 4) return op_error(node, "wants batch, channels, height and width");
  Shape out = from;
  const auto size = node.int_list_arg("output_size");
  const auto* factors = std::get_if<Argument::List>(&node.arg("scale_factors").data);
  for (size_t i = 0; i < 2; ++i) {
    if (size.size() == 2)
      out[2 + i] = size[i];
    else if (factors && factors->size() == 2) {
      const auto* f = std::get_if<double>(&(*factors)[i].data);
      if (!f || !(*f > 0 && *f < 1e6)) return op_error(node, "scale factor is out of range");
      out[2 + i] = static_cast<int64_t>(static_cast<double>(from[2 + i]) * *f);
    } else {
      return op_error(node, "wants an output size or scale factors");
    }
  }
  return out;
}

// Input positions per output position, as PyTorch computes them in the accumulate type.
double scale_of(const Node& node, size_t i, int64_t from, int64_t to) {
  const auto* factors = std::get_if<Argument::List>(&node.arg("scale_factors").data);
  if (node.int_list_arg("output_size").empty() && factors && factors->size() == 2)
    if (const auto* f = std::get_if<double>(&(*factors)[i].data)) return 1 / *f;
  return static_cast<double>(from) / static_cast<double>(to);
}

OpEntry upsample_op(std::string name, bool linear) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "input"));
    KW_TRY(Shape shape, upsampled(node, from.shape));
    return one_type(from.dtype, shape);
  };
  entry.define = [linear](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int from = lowering.operand("input");
    const Shape in = lowering.type(from).shape, out = lowering.output_type().shape;
    std::vector<Expr> low(2), high(2), weight(2);
    for (size_t i = 0; i < 2; ++i) {
      const Expr o = axis(static_cast<int>(2 + i));
      const Expr last = integer(in[2 + i] - 1);
      Expr position;
      if (!linear) {
        position = o * constant(scale_of(node, i, in[2 + i], out[2 + i]));
      } else if (node.bool_arg("align_corners", false)) {
        const double step = out[2 + i] > 1 ? static_cast<double>(in[2 + i] - 1) /
                                                 static_cast<double>(out[2 + i] - 1)
                                           : 0;
        position = o * constant(step);
      } else {
        position = (o + constant(0.5)) * constant(scale_of(node, i, in[2 + i], out[2 + i])) -
                   constant(0.5);
        position = binary(ExprOp::kMax, position, constant(0));
      }
      low[i] = binary(ExprOp::kMin, cast(DType::kI64, unary(ExprOp::kFloor, position)), last);
      high[i] = binary(ExprOp::kMin, low[i] + integer(1), last);
      weight[i] = position - low[i];
    }
    auto at = [&](const Expr& y, const Expr& x) {
      return load_of(lowering, from, {axis(0), axis(1), y, x});
    };
    if (!linear) {
      lowering.define(0, plain_stage(at(low[0], low[1])));
      return {};
    }
    auto blend = [](const Expr& a, const Expr& b, const Expr& w) {
      return a * (constant(1) - w) + b * w;
    };
    lowering.define(
        0,
        plain_stage(blend(blend(at(low[0], low[1]), at(low[0], high[1]), weight[1]),
                          blend(at(high[0], low[1]), at(high[0], high[1]), weight[1]), weight[0])));
    return {};
  };
  return entry;
}

// glu: the first half of `dim` times the sigmoid of the second.
OpEntry glu_op() {
  OpEntry entry;
  entry.name = "aten.glu.default";
  entry.op_class = OpClass::kPointwise;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_TRY(int64_t dim, normalize_dim(node, node.int_arg("dim", -1), from.shape.size()));
    if (from.shape.empty() || from.shape[static_cast<size_t>(dim)] % 2 != 0)
      return op_error(node, "halves are not equal");
    from.shape[static_cast<size_t>(dim)] /= 2;
    return Types{from};
  };
  entry.define = [](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    const Shape out = lowering.output_type().shape;
    KW_TRY(int64_t dim,
           normalize_dim(lowering.node(), lowering.node().int_arg("dim", -1), out.size()));
    std::vector<Expr> first = axes_from(0, out.size()), second = first;
    Expr& moved = second[static_cast<size_t>(dim)];
    moved = moved + integer(out[static_cast<size_t>(dim)]);
    const Expr gate = load_of(lowering, from, second);
    lowering.define(
        0, plain_stage(binary(ExprOp::kDiv, load_of(lowering, from, first),
                              constant(1) + unary(ExprOp::kExp, unary(ExprOp::kNeg, gate)))));
    return {};
  };
  return entry;
}

}  // namespace

Expr wrapped_index(const Expr& index, int64_t extent) {
  return select(binary(ExprOp::kLt, index, integer(0)), index + integer(extent), index);
}

Result<AdvancedIndex> AdvancedIndex::of(const Node& node, const Shape& from,
                                        const std::vector<Shape>& shapes) {
  AdvancedIndex out;
  const auto* list = std::get_if<Argument::List>(&node.arg("indices").data);
  if (!list || list->size() > from.size()) return op_error(node, "more indices than dimensions");
  out.indexed.assign(from.size(), false);
  size_t first = from.size(), last = 0, count = 0;
  for (size_t i = 0; i < list->size(); ++i) {
    if (!(*list)[i].is_value()) continue;
    out.indexed[i] = true;
    first = std::min(first, i);
    last = i;
    ++count;
  }
  if (count == 0) return op_error(node, "no index");
  KW_TRY(out.common, broadcast_shapes(node, shapes));
  out.at = last - first + 1 == count ? first : 0;
  for (size_t i = 0; i < from.size(); ++i)
    if (!out.indexed[i]) out.result.push_back(from[i]);
  out.result.insert(out.result.begin() + static_cast<std::ptrdiff_t>(out.at), out.common.begin(),
                    out.common.end());
  return out;
}

void add_index_ops(OpList& ops) {
  ops.push_back(embedding_op());
  ops.push_back(take_op("aten.index_select.default", true));
  ops.push_back(take_op("aten.gather.default", false));
  ops.push_back(advanced_index_op("aten.index.Tensor"));
  ops.push_back(advanced_index_op("aten._unsafe_index.Tensor"));
  ops.push_back(upsample_op("aten.upsample_nearest2d.vec", false));
  ops.push_back(upsample_op("aten.upsample_bilinear2d.vec", true));
  ops.push_back(glu_op());
}

}  // namespace kernelwright::graph

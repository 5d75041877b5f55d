// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

DType list_dtype(const Graph& graph, const std::vector<int>& values) {
  DType dtype = graph.value(values[0]).type.dtype;
  for (int id : values) dtype = promote(dtype, graph.value(id).type.dtype);
  return dtype;
}

// cat and stack: a chain of selects along `dim`.
OpEntry join_op(std::string name, bool stack) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [stack](const Graph& graph, const Node& node) -> Result<Types> {
    const auto values = node.value_list_arg("tensors");
    if (values.empty()) return op_error(node, "joins nothing");
    Shape shape = graph.value(values[0]).type.shape;
    KW_TRY(int64_t dim,
           normalize_dim(node, node.int_arg("dim", 0), shape.size() + (stack ? 1 : 0)));
    int64_t total = 0;
    for (int id : values) {
      const Shape& each = graph.value(id).type.shape;
      if (each.size() != shape.size()) return op_error(node, "joins tensors of different rank");
      for (size_t i = 0; i < each.size(); ++i)
        if (each[i] != shape[i] && (stack || static_cast<int64_t>(i) != dim))
          return op_error(
              node, fmt::format("{} and {} do not join", shape_text(shape), shape_text(each)));
      total += stack ? 1 : each.at(static_cast<size_t>(dim));
    }
    if (stack)
      shape.insert(shape.begin() + dim, total);
    else
      shape[static_cast<size_t>(dim)] = total;
    return one_type(list_dtype(graph, values), shape);
  };
  entry.define = [stack](Lowering& lowering) -> Status {
    const Shape to = lowering.output_type().shape;
    KW_TRY(int64_t along,
           normalize_dim(lowering.node(), lowering.node().int_arg("dim", 0), to.size()));
    const size_t dim = static_cast<size_t>(along);
    const auto parts = lowering.operand_list("tensors");
    int64_t end = to[dim];
    Expr body;
    for (size_t p = parts.size(); p-- > 0;) {
      const int64_t length = stack ? 1 : lowering.type(parts[p]).shape[dim];
      const int64_t start = end - length;
      std::vector<Expr> index = axes_from(0, to.size());
      if (stack)
        index.erase(index.begin() + static_cast<std::ptrdiff_t>(dim));
      else
        index[dim] = index[dim] - integer(start);
      Expr value = load_of(lowering, parts[p], std::move(index));
      if (length > 0)
        body = body ? select(binary(ExprOp::kLt, axis(static_cast<int>(dim)), integer(end)), value,
                             body)
                    : value;
      end = start;
    }
    if (!body) return op_error(lowering.node(), "joins nothing");
    lowering.define(0, plain_stage(std::move(body)));
    return {};
  };
  return entry;
}

}  // namespace

void add_join_ops(OpList& ops) {
  ops.push_back(join_op("aten.cat.default", false));
  ops.push_back(join_op("aten.stack.default", true));
}

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
// Tensors made of constants and positions.
#include <cmath>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

// An op whose elements are a function of the position alone.
OpEntry filled(std::string name, const char* like, const std::function<Expr(const Node&)>& value) {
  const std::string operand = like ? like : "";
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [operand, value](const Graph& graph, const Node& node) -> Result<Types> {
    if (!operand.empty()) {
      KW_TRY(TensorType type, operand_type(graph, node, operand));
      return one_type(dtype_arg(node, "dtype", type.dtype), type.shape);
    }
    DType fallback = DType::kF32;
    // full() without a dtype takes that of its value.
    if (node.args.contains("fill_value")) fallback = promoted_dtype(graph, node, {"fill_value"});
    return one_type(dtype_arg(node, "dtype", fallback), node.int_list_arg("size"));
  };
  entry.define = [value](Lowering& lowering) -> Status {
    Expr body = value(lowering.node());
    if (!body) return op_error(lowering.node(), "fill value is no number");
    lowering.define(0, plain_stage(cast(lowering.output_type().dtype, body)));
    return {};
  };
  return entry;
}

OpEntry arange(std::string name) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    const double start = node.float_arg("start", 0), step = node.float_arg("step", 1);
    if (step == 0) return op_error(node, "step of zero");
    const double count = std::ceil((node.float_arg("end", 0) - start) / step);
    if (!(count >= 0 && count < 0x1p40)) return op_error(node, "bounds do not fit the step");
    const DType kind = promoted_dtype(graph, node, {"start", "end", "step"});
    return one_type(dtype_arg(node, "dtype", kind), {static_cast<int64_t>(count)});
  };
  entry.define = [](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    Expr start = number_arg(node, "start"), step = number_arg(node, "step");
    Expr value = (start ? start : integer(0)) + axis(0) * (step ? step : integer(1));
    lowering.define(0, plain_stage(cast(lowering.output_type().dtype, value)));
    return {};
  };
  return entry;
}

// tril and triu keep one side of a diagonal of the last two dimensions.
OpEntry triangle(std::string name, bool lower) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType type, operand_type(graph, node, "self"));
    if (type.shape.size() < 2) return op_error(node, "wants a matrix");
    return one_type(type.dtype, type.shape);
  };
  entry.define = [lower](Lowering& lowering) -> Status {
    const Shape shape = lowering.output_type().shape;
    const int row = static_cast<int>(shape.size()) - 2;
    const Expr edge = axis(row) + integer(lowering.node().int_arg("diagonal", 0));
    Expr value = lowering.broadcast_load(lowering.operand("self"), shape);
    Expr zero = value->kind == ScalarKind::kReal  ? constant(0)
                : value->kind == ScalarKind::kInt ? integer(0)
                                                  : boolean(false);
    lowering.define(
        0, plain_stage(select(binary(lower ? ExprOp::kLe : ExprOp::kGe, axis(row + 1), edge), value,
                              zero)));
    return {};
  };
  return entry;
}

}  // namespace

void add_constant_ops(OpList& ops) {
  auto zero = [](const Node&) { return integer(0); };
  auto one = [](const Node&) { return integer(1); };
  auto fill = [](const Node& node) { return number_arg(node, "fill_value"); };
  auto scalar = [](const Node& node) { return number_arg(node, "s"); };
  ops.push_back(filled("aten.zeros.default", nullptr, zero));
  ops.push_back(filled("aten.empty.memory_format", nullptr, zero));
  ops.push_back(filled("aten.ones.default", nullptr, one));
  ops.push_back(filled("aten.full.default", nullptr, fill));
  ops.push_back(filled("aten.zeros_like.default", "self", zero));
  ops.push_back(filled("aten.ones_like.default", "self", one));
  ops.push_back(filled("aten.full_like.default", "self", fill));
  ops.push_back(filled("aten.scalar_tensor.default", nullptr, scalar));
  ops.push_back(arange("aten.arange.default"));
  ops.push_back(arange("aten.arange.start"));
  ops.push_back(arange("aten.arange.start_step"));
  ops.push_back(triangle("aten.tril.default", true));
  ops.push_back(triangle("aten.triu.default", false));
}

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "graph/op_support.h"
#include "graph/scalar_parser.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

enum Reduction : int64_t { kNone = 0, kMean = 1, kSum = 2 };

// A pointwise loss in the language of scalar_parser.h, then none, mean or sum by the argument
// "reduction".
OpEntry loss_op(const std::string& op, const std::string& text) {
  OpEntry base = pointwise(op, text);
  OpEntry entry;
  entry.name = op;
  entry.op_class = OpClass::kReduction;
  entry.infer = [elementwise = base.infer](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(Types types, elementwise(graph, node));
    if (node.int_arg("reduction", kMean) != kNone) types[0].shape.clear();
    return types;
  };
  entry.define = [text](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int64_t kind = node.int_arg("reduction", kMean);
    std::vector<Shape> shapes;
    for (const auto& name : {"self", "target", "weight"})
      if (node.value_arg(name)) shapes.push_back(lowering.type(lowering.operand(name)).shape);
    KW_TRY(Shape domain, broadcast_shapes(node, shapes));
    ScalarScope scope;
    scope.lookup = [&](const std::string& short_name, bool) -> Result<Expr> {
      const std::string name = short_name == "x"   ? "self"
                               : short_name == "y" ? "target"
                                                   : short_name;
      if (node.arg(name).is_value()) return lowering.broadcast_load(lowering.operand(name), domain);
      if (Expr number = number_arg(node, name)) return number;
      return integer(0);
    };
    scope.given = [&](const std::string& name) { return !node.arg(name).is_none(); };
    scope.string_attribute = [](const std::string&) { return std::string(); };
    KW_TRY(Expr body, parse_scalar(text, scope));
    if (kind == kNone) {
      lowering.define(0, plain_stage(std::move(body)));
      return {};
    }
    Expr finish = kind == kMean ? binary(ExprOp::kDiv, reduced(ScalarKind::kReal),
                                         constant(static_cast<double>(element_count(domain))))
                                : nullptr;
    lowering.define(0, reduce_stage(Combiner::kSum, domain, std::move(body), std::move(finish)));
    return {};
  };
  return entry;
}

// Cross entropy of logits [N, C, ...] with class indices [N, ...] or probabilities like the logits;
// and the negative log likelihood, whose input are log probabilities already.
OpEntry cross_entropy_op(std::string name, bool logits) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kReduction;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType self, operand_type(graph, node, "self"));
    KW_TRY(TensorType target, operand_type(graph, node, "target"));
    if (self.shape.empty()) return op_error(node, "wants a dimension of classes");
    if (is_float(target.dtype)) return op_error(node, "class probabilities are not supported");
    if (node.value_arg("weight")) return op_error(node, "class weights are not supported");
    if (node.float_arg("label_smoothing", 0) != 0)
      return op_error(node, "label smoothing is not supported");
    Shape rows = self.shape;
    rows.erase(rows.begin() + (rows.size() > 1 ? 1 : 0));
    if (rows != target.shape) return op_error(node, "targets do not fit the logits");
    if (node.int_arg("reduction", kMean) != kNone) rows.clear();
    return one_type(self.dtype, rows);
  };
  entry.define = [logits](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int self = lowering.operand("self"), target = lowering.operand("target");
    const TensorType type = lowering.type(self);
    const size_t dim = type.shape.size() > 1 ? 1 : 0;
    Shape rows = type.shape;
    rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(dim));
    const DType dtype = accumulate_dtype(type.dtype);
    const Expr wanted = load_of(lowering, target, axes_from(0, rows.size()));
    std::vector<Expr> at = axes_from(0, rows.size());
    at.insert(at.begin() + static_cast<std::ptrdiff_t>(dim), wanted);
    Expr score = load_of(lowering, self, at);
    if (logits) {
      const SoftmaxRows softmax = softmax_rows(lowering, self, dim, type.dtype);
      // The rows' statistics are loads at a position of the logits; the class itself does not
      // matter to them.
      std::vector<Expr> position = axes_from(0, rows.size());
      position.insert(position.begin() + static_cast<std::ptrdiff_t>(dim), integer(0));
      score = score - substitute_axes(softmax.maximum, position) -
              unary(ExprOp::kLog, substitute_axes(softmax.sum, position));
    }
    const Expr counts = binary(ExprOp::kNe, wanted, integer(node.int_arg("ignore_index", -100)));
    Expr loss = select(counts, unary(ExprOp::kNeg, score), constant(0));
    const int64_t kind = node.int_arg("reduction", kMean);
    if (kind == kNone) {
      lowering.define(0, plain_stage(std::move(loss)));
      return {};
    }
    if (kind == kSum) {
      lowering.define(0, reduce_stage(Combiner::kSum, rows, std::move(loss)));
      return {};
    }
    const int count = lowering.define_temporary(
        {dtype, {}, {}},
        reduce_stage(Combiner::kSum, rows, select(counts, constant(1), constant(0))));
    lowering.define(0, reduce_stage(Combiner::kSum, rows, std::move(loss),
                                    binary(ExprOp::kDiv, reduced(ScalarKind::kReal),
                                           load_of(lowering, count, {}))));
    return {};
  };
  return entry;
}

}  // namespace

void add_loss_ops(OpList& ops) {
  ops.push_back(loss_op("aten.mse_loss.default", "(x - target) * (x - target)"));
  ops.push_back(loss_op("aten.l1_loss.default", "abs(x - target)"));
  ops.push_back(loss_op("aten.smooth_l1_loss.default",
                        "abs(x - target) < $beta ? 0.5 * (x - target) * (x - target) / $beta : "
                        "abs(x - target) - 0.5 * $beta"));
  ops.push_back(loss_op("aten.huber_loss.default",
                        "abs(x - target) <= $delta ? 0.5 * (x - target) * (x - target)"
                        " : $delta * (abs(x - target) - 0.5 * $delta)"));
  ops.push_back(loss_op("aten.kl_div.default",
                        "$log_target ? exp(target) * (target - x) : target > 0 ? target * "
                        "(log(target) - x) : target * 0"));
  // PyTorch holds the logarithms at -100.
  ops.push_back(loss_op("aten.binary_cross_entropy.default",
                        "(given($weight) ? weight : 1) * -(target * max(log(x), -100) + (1 - "
                        "target) * max(log1p(-x), -100))"));
  ops.push_back(cross_entropy_op("aten.cross_entropy_loss.default", true));
  ops.push_back(cross_entropy_op("aten.nll_loss_nd.default", false));
}

}  // namespace kernelwright::graph

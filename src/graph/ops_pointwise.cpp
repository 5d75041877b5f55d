// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "graph/op_support.h"
#include "graph/scalar_parser.h"

namespace kernelwright::graph {
namespace {

std::string schema_name(const std::string& name) {
  return name == "x" ? "self" : name == "y" ? "other" : name;
}

// Operands that decide the dtype: a condition only chooses.
std::vector<std::string> promoted_operands(const std::string& text) {
  std::vector<std::string> names;
  for (const auto& name : scalar_operands(text))
    if (name != "condition") names.push_back(schema_name(name));
  return names;
}

Result<std::vector<TensorType>> infer_pointwise(const Graph& graph, const Node& node,
                                                const std::string& text, ResultType result) {
  std::vector<Shape> shapes;
  for (const auto& name : scalar_operands(text))
    if (auto id = node.value_arg(schema_name(name))) shapes.push_back(graph.value(*id).type.shape);
  KW_TRY(Shape shape, broadcast_shapes(node, shapes));
  DType dtype = promoted_dtype(graph, node, promoted_operands(text));
  if (result == ResultType::kBool) dtype = DType::kBool;
  if (result == ResultType::kFloat && !is_float(dtype)) dtype = DType::kF32;
  return one_type(dtype, std::move(shape));
}

Status define_pointwise(Lowering& lowering, const std::string& text) {
  const Node& node = lowering.node();
  const Shape shape = lowering.output_type().shape;
  ScalarScope scope;
  scope.lookup = [&](const std::string& short_name, bool attribute) -> Result<Expr> {
    const std::string name = schema_name(short_name);
    const Argument& arg = node.arg(name);
    if (arg.is_value()) return lowering.broadcast_load(lowering.operand(name), shape);
    if (Expr number = number_arg(node, name)) return number;
    if (arg.is_none()) return integer(0);
    return op_error(node, fmt::format("argument \"{}\" must be a tensor or a number", name));
  };
  scope.given = [&](const std::string& name) { return !node.arg(schema_name(name)).is_none(); };
  scope.string_attribute = [&](const std::string& name) {
    const auto* value = std::get_if<std::string>(&node.arg(name).data);
    return value ? *value : std::string();
  };
  KW_TRY(Expr body, parse_scalar(text, scope));
  lowering.define(0, plain_stage(std::move(body)));
  return {};
}

// dtype casts: the dtype comes from an attribute.
OpEntry cast_op(std::string name) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kPointwise;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<std::vector<TensorType>> {
    KW_TRY(TensorType type, operand_type(graph, node, "self"));
    return one_type(dtype_arg(node, "dtype", type.dtype), type.shape);
  };
  entry.define = [](Lowering& lowering) -> Status {
    const TensorType& to = lowering.output_type();
    const int from = lowering.operand("self");
    Expr value = lowering.broadcast_load(from, to.shape);
    if (lowering.type(from).dtype != to.dtype) value = cast(to.dtype, value);
    lowering.define(0, plain_stage(std::move(value)));
    return {};
  };
  return entry;
}

}  // namespace

OpEntry pointwise(std::string name, const std::string& text, ResultType result) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kPointwise;
  entry.infer = [text, result](const Graph& graph, const Node& node) {
    return infer_pointwise(graph, node, text, result);
  };
  entry.define = [text](Lowering& lowering) { return define_pointwise(lowering, text); };
  return entry;
}

void add_pointwise_ops(OpList& ops) {
  constexpr auto kFloat = ResultType::kFloat;
  constexpr auto kBool = ResultType::kBool;
  const OpEntry entries[] = {
      // arithmetic
      pointwise("aten.add.Tensor", "x + $alpha * y"),
      pointwise("aten.add.Scalar", "x + $alpha * y"),
      pointwise("aten.sub.Tensor", "x - $alpha * y"),
      pointwise("aten.sub.Scalar", "x - $alpha * y"),
      pointwise("aten.rsub.Tensor", "y - $alpha * x"),
      pointwise("aten.rsub.Scalar", "y - $alpha * x"),
      pointwise("aten.mul.Tensor", "x * y"),
      pointwise("aten.mul.Scalar", "x * y"),
      pointwise("aten.div.Tensor", "x / y", kFloat),
      pointwise("aten.div.Scalar", "x / y", kFloat),
      pointwise("aten.floor_divide.default", "x // y"),
      pointwise("aten.remainder.Tensor", "x % y"),
      pointwise("aten.remainder.Scalar", "x % y"),
      pointwise("aten.fmod.Tensor", "fmod(x, y)"),
      pointwise("aten.fmod.Scalar", "fmod(x, y)"),
      pointwise("aten.neg.default", "-x"),
      pointwise("aten.abs.default", "abs(x)"),
      pointwise("aten.sign.default", "x > 0 ? 1 : x < 0 ? -1 : x * 0"),
      pointwise("aten.sgn.default", "x > 0 ? 1 : x < 0 ? -1 : x * 0"),
      pointwise("aten.square.default", "x * x"),
      pointwise("aten.reciprocal.default", "1 / x", kFloat),
      pointwise("aten.pow.Tensor_Scalar", "pow(x, exponent)"),
      pointwise("aten.pow.Tensor_Tensor", "pow(x, exponent)"),
      pointwise("aten.pow.Scalar", "pow(x, exponent)"),
      pointwise("aten.maximum.default", "max(x, y)"),
      pointwise("aten.minimum.default", "min(x, y)"),
      pointwise("aten.fmax.default", "isnan(x) ? y : isnan(y) ? x : max(x, y)"),
      pointwise("aten.fmin.default", "isnan(x) ? y : isnan(y) ? x : min(x, y)"),
      pointwise("aten.addcmul.default", "x + $value * tensor1 * tensor2"),
      pointwise("aten.addcdiv.default", "x + $value * (tensor1 / tensor2)"),
      pointwise("aten.lerp.Scalar", "x + $weight * (end - x)"),
      pointwise("aten.lerp.Tensor", "x + weight * (end - x)"),
      pointwise("aten.clamp.default",
                "given($max) ? min(given($min) ? max(x, min) : x, max) : max(x, min)"),
      pointwise("aten.clamp.Tensor",
                "given($max) ? min(given($min) ? max(x, min) : x, max) : max(x, min)"),
      pointwise("aten.clamp_min.default", "max(x, min)"),
      pointwise("aten.clamp_max.default", "min(x, max)"),
      pointwise("aten.hypot.default", "sqrt(x * x + y * y)"),
      // A zero keeps its sign: its reciprocal shows it.
      pointwise("aten.copysign.Tensor", "y < 0 || y == 0 && 1 / y < 0 ? -abs(x) : abs(x)", kFloat),
      pointwise("aten.signbit.default", "x < 0 || x == 0 && 1 / x < 0", kBool),
      pointwise("aten.ldexp.Tensor", "x * pow(2.0, y)", kFloat),
      // rounding
      pointwise("aten.floor.default", "floor(x)"),
      pointwise("aten.ceil.default", "ceil(x)"),
      pointwise("aten.round.default", "round(x)"),
      pointwise("aten.trunc.default", "trunc(x)"),
      pointwise("aten.frac.default", "x - trunc(x)"),
      // exponentials and trigonometry
      pointwise("aten.exp.default", "exp(x)", kFloat),
      pointwise("aten.exp2.default", "exp(x * 0.69314718055994530942)", kFloat),
      pointwise("aten.expm1.default", "expm1(x)", kFloat),
      pointwise("aten.log.default", "log(x)", kFloat),
      pointwise("aten.log1p.default", "log1p(x)", kFloat),
      pointwise("aten.log2.default", "log2(x)", kFloat),
      pointwise("aten.log10.default", "log(x) / 2.30258509299404568402", kFloat),
      pointwise("aten.sqrt.default", "sqrt(x)", kFloat),
      pointwise("aten.rsqrt.default", "rsqrt(x)", kFloat),
      pointwise("aten.sin.default", "sin(x)", kFloat),
      pointwise("aten.cos.default", "cos(x)", kFloat),
      pointwise("aten.tan.default", "tan(x)", kFloat),
      pointwise("aten.atan.default", "atan2(x, 1)", kFloat),
      pointwise("aten.atan2.default", "atan2(x, y)", kFloat),
      pointwise("aten.asin.default", "atan2(x, sqrt((1 - x) * (1 + x)))", kFloat),
      pointwise("aten.acos.default", "atan2(sqrt((1 - x) * (1 + x)), x)", kFloat),
      pointwise("aten.sinh.default", "0.5 * (expm1(x) - expm1(-x))", kFloat),
      pointwise("aten.cosh.default", "0.5 * (exp(x) + exp(-x))", kFloat),
      pointwise("aten.asinh.default",
                "(x < 0 ? -1 : 1) * log1p(abs(x) + abs(x) / (1 / abs(x) + sqrt(1 + 1 / (x * x))))",
                kFloat),
      pointwise("aten.acosh.default", "log1p(x - 1 + sqrt(x - 1) * sqrt(x + 1))", kFloat),
      pointwise("aten.atanh.default", "0.5 * (log1p(x) - log1p(-x))", kFloat),
      pointwise("aten.erf.default", "erf(x)", kFloat),
      // comparisons and logic
      pointwise("aten.eq.Tensor", "x == y", kBool),
      pointwise("aten.eq.Scalar", "x == y", kBool),
      pointwise("aten.ne.Tensor", "x != y", kBool),
      pointwise("aten.ne.Scalar", "x != y", kBool),
      pointwise("aten.lt.Tensor", "x < y", kBool),
      pointwise("aten.lt.Scalar", "x < y", kBool),
      pointwise("aten.le.Tensor", "x <= y", kBool),
      pointwise("aten.le.Scalar", "x <= y", kBool),
      pointwise("aten.gt.Tensor", "x > y", kBool),
      pointwise("aten.gt.Scalar", "x > y", kBool),
      pointwise("aten.ge.Tensor", "x >= y", kBool),
      pointwise("aten.ge.Scalar", "x >= y", kBool),
      pointwise("aten.logical_and.default", "x && y", kBool),
      pointwise("aten.logical_or.default", "x || y", kBool),
      pointwise("aten.logical_xor.default", "bool(x) != bool(y)", kBool),
      pointwise("aten.logical_not.default", "!x", kBool),
      pointwise("aten.isnan.default", "isnan(x)", kBool),
      pointwise("aten.isinf.default", "x == inf || x == -inf", kBool),
      pointwise("aten.where.self", "condition ? x : y"),
      pointwise("aten.where.ScalarSelf", "condition ? x : y"),
      pointwise("aten.where.ScalarOther", "condition ? x : y"),
      pointwise("aten.where.Scalar", "condition ? x : y"),
      // activations
      pointwise("aten.relu.default", "max(x, 0)"),
      pointwise("aten.relu6.default", "min(max(x, 0), 6)"),
      pointwise("aten.leaky_relu.default", "x > 0 ? x : x * $negative_slope"),
      pointwise("aten.prelu.default", "x > 0 ? x : x * weight"),
      pointwise("aten.sigmoid.default", "1 / (1 + exp(-x))", kFloat),
      pointwise("aten.tanh.default", "tanh(x)", kFloat),
      pointwise("aten.silu.default", "x / (1 + exp(-x))"),
      // tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); from 20 on that is 1, in fp64 as well.
      pointwise("aten.mish.default",
                "x * (exp(min(x, 20)) * (exp(min(x, 20)) + 2)) / (exp(min(x, 20)) * (exp(min(x, "
                "20)) + 2) + 2)"),
      pointwise("aten.gelu.default",
                "$approximate == 'tanh' ? 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + "
                "0.044715 * x * x * x)))"
                " : 0.5 * x * (1 + erf(x * 0.70710678118654752440))"),
      pointwise("aten.elu.default",
                "x > 0 ? $scale * x : $scale * $alpha * expm1($input_scale * x)"),
      pointwise("aten.celu.default", "x > 0 ? x : $alpha * expm1(x / $alpha)"),
      pointwise("aten.selu.default",
                "1.0507009873554804934 * (x > 0 ? x : 1.6732632423543772848 * expm1(x))"),
      pointwise("aten.hardtanh.default", "min(max(x, $min_val), $max_val)"),
      pointwise("aten.hardswish.default", "x * min(max(x + 3, 0), 6) / 6"),
      pointwise("aten.hardsigmoid.default", "min(max(x + 3, 0), 6) / 6"),
      pointwise("aten.softplus.default",
                "$beta * x > $threshold ? x : softplus($beta * x) / $beta"),
      pointwise("aten.softshrink.default",
                "x > $lambd ? x - $lambd : x < -$lambd ? x + $lambd : x * 0"),
      pointwise("aten.hardshrink.default", "x >= -$lambd && x <= $lambd ? 0 : x"),
      pointwise("aten.threshold.default", "x <= $threshold ? $value : x"),
      pointwise("aten.log_sigmoid.default", "-softplus(-x)"),
      // copies
      pointwise("aten.clone.default", "x"),
      pointwise("aten.alias.default", "x"),
      pointwise("aten.detach.default", "x"),
      pointwise("aten.lift_fresh_copy.default", "x"),
      pointwise("aten.positive.default", "x"),
      pointwise("aten.contiguous.default", "x"),
      cast_op("aten._to_copy.default"),
      cast_op("aten.to.dtype"),
  };
  for (const auto& entry : entries) ops.push_back(entry);

  // rounding_mode is an attribute; with none of it, it is the true division.
  for (const char* name : {"aten.div.Tensor_mode", "aten.div.Scalar_mode"}) {
    OpEntry entry = pointwise(
        name,
        "$rounding_mode == 'floor' ? x // y : $rounding_mode == 'trunc' ? trunc(x / y) : x / y");
    entry.infer = [](const Graph& graph, const Node& node) {
      return infer_pointwise(
          graph, node, "x / y",
          node.arg("rounding_mode").is_none() ? ResultType::kFloat : ResultType::kPromoted);
    };
    ops.push_back(std::move(entry));
  }
  for (const char* op : {"and", "or", "xor"})
    for (const char* overload : {"Tensor", "Scalar"})
      ops.push_back(pointwise(fmt::format("aten.bitwise_{}.{}", op, overload),
                              fmt::format("bit{}(x, y)", op)));
  for (const char* overload : {"Tensor", "Tensor_Scalar"}) {
    ops.push_back(pointwise(fmt::format("aten.bitwise_left_shift.{}", overload), "shl(x, y)"));
    ops.push_back(pointwise(fmt::format("aten.bitwise_right_shift.{}", overload), "shr(x, y)"));
  }
  ops.push_back(pointwise("aten.__lshift__.Scalar", "shl(x, y)"));
  ops.push_back(pointwise("aten.__rshift__.Scalar", "shr(x, y)"));
  // On booleans it is the logical one.
  OpEntry complement = pointwise("aten.bitwise_not.default", "x");
  complement.define = [](Lowering& lowering) {
    const bool logical = lowering.output_type().dtype == DType::kBool;
    return define_pointwise(lowering, logical ? "!x" : "-1 - x");
  };
  ops.push_back(std::move(complement));
}

}  // namespace kernelwright::graph

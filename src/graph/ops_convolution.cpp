// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

struct Convolution {
  size_t dims = 0;  // spatial
  std::vector<int64_t> stride, padding, dilation, output_padding;
  bool transposed = false;
  int64_t groups = 1;

  static Result<Convolution> of(const Node& node, const Shape& input, const Shape& weight) {
    Convolution c;
    if (input.size() < 3 || weight.size() != input.size())
      return op_error(node, "wants a batch of channels and 1 to 3 dimensions");
    c.dims = input.size() - 2;
    KW_TRY(c.stride, spatial_list(node, "stride", c.dims, 1));
    KW_TRY(c.padding, spatial_list(node, "padding", c.dims, 0));
    KW_TRY(c.dilation, spatial_list(node, "dilation", c.dims, 1));
    KW_TRY(c.output_padding, spatial_list(node, "output_padding", c.dims, 0));
    c.transposed = node.bool_arg("transposed", false);
    c.groups = node.int_arg("groups", 1);
    const int64_t channels = c.transposed ? weight[0] : weight[1] * c.groups;
    if (c.groups < 1 || input[1] != channels || weight[0] % c.groups != 0)
      return op_error(node, fmt::format("input {} does not fit weight {}", shape_text(input),
                                        shape_text(weight)));
    for (size_t i = 0; i < c.dims; ++i)
      if (c.stride[i] < 1 || c.dilation[i] < 1)
        return op_error(node, "stride and dilation must be positive");
    return c;
  }

  Shape result(const Shape& input, const Shape& weight) const {
    Shape out = {input[0], transposed ? weight[1] * groups : weight[0]};
    for (size_t i = 0; i < dims; ++i) {
      const int64_t reach = dilation[i] * (weight[i + 2] - 1) + 1;
      if (transposed)
        out.push_back((input[i + 2] - 1) * stride[i] - 2 * padding[i] + reach + output_padding[i]);
      else
        out.push_back((input[i + 2] + 2 * padding[i] - reach) / stride[i] + 1);
    }
    return out;
  }
};

Status define_convolution(Lowering& lowering) {
  const int input = lowering.operand("input"), weight = lowering.operand("weight"),
            bias = lowering.operand("bias");
  const Shape x = lowering.type(input).shape, w = lowering.type(weight).shape,
              out = lowering.output_type().shape;
  KW_TRY(Convolution c, Convolution::of(lowering.node(), x, w));
  const int rank = static_cast<int>(out.size());
  const int64_t in_per_group = x[1] / c.groups, out_per_group = out[1] / c.groups;
  std::vector<int64_t> reduce = {in_per_group};
  reduce.insert(reduce.end(), w.begin() + 2, w.end());
  std::vector<int64_t> extents = out;
  extents.insert(extents.end(), reduce.begin(), reduce.end());

  // The group of an output channel; the input channel within it is the first reduction axis.
  const Expr group =
      c.groups == 1 ? integer(0) : binary(ExprOp::kFloorDiv, axis(1), integer(out_per_group));
  const Expr channel = group * integer(in_per_group) + axis(rank);
  std::vector<Expr> at = {axis(0), channel};
  Expr inside = boolean(true);
  for (size_t i = 0; i < c.dims; ++i) {
    const Expr o = axis(static_cast<int>(i) + 2), k = axis(rank + 1 + static_cast<int>(i));
    Expr position = o * integer(c.stride[i]) + k * integer(c.dilation[i]) - integer(c.padding[i]);
    if (c.transposed) {
      const Expr scaled = o + integer(c.padding[i]) - k * integer(c.dilation[i]);
      const Expr stride = integer(c.stride[i]);
      inside = binary(ExprOp::kAnd, inside,
                      binary(ExprOp::kEq, binary(ExprOp::kMod, scaled, stride), integer(0)));
      position = binary(ExprOp::kFloorDiv, scaled, stride);
    }
    inside = binary(ExprOp::kAnd, inside, in_range(position, x[i + 2], extents));
    at.push_back(position);
  }
  std::vector<Expr> weight_at = {axis(1), axis(rank)};
  if (c.transposed)
    weight_at = {channel,
                 c.groups == 1 ? axis(1) : binary(ExprOp::kMod, axis(1), integer(out_per_group))};
  for (size_t i = 0; i < c.dims; ++i) weight_at.push_back(axis(rank + 1 + static_cast<int>(i)));
  // Padding is a select round the load: the outside is never read.
  Expr value = select(inside, load_of(lowering, input, std::move(at)), constant(0));
  Expr body = value * load_of(lowering, weight, std::move(weight_at));
  Expr finish = bias < 0 ? nullptr : reduced(body->kind) + load_of(lowering, bias, {axis(1)});
  lowering.define(
      0, reduce_stage(Combiner::kSum, std::move(reduce), std::move(body), std::move(finish)));
  return {};
}

}  // namespace

Result<std::vector<int64_t>> spatial_list(const Node& node, const std::string& name, size_t dims,
                                          int64_t fallback) {
  std::vector<int64_t> out = node.int_list_arg(name);
  if (out.empty()) out.assign(dims, fallback);
  if (out.size() == 1) out.assign(dims, out[0]);
  if (out.size() != dims) return op_error(node, fmt::format("\"{}\" wants {} numbers", name, dims));
  for (int64_t v : out)
    if (v < 0 || v > (int64_t{1} << 30))
      return op_error(node, fmt::format("\"{}\" is out of range", name));
  return out;
}

void add_convolution_ops(OpList& ops) {
  OpEntry entry;
  entry.name = "aten.convolution.default";
  entry.op_class = OpClass::kContraction;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<std::vector<TensorType>> {
    KW_TRY(TensorType input, operand_type(graph, node, "input"));
    KW_TRY(TensorType weight, operand_type(graph, node, "weight"));
    KW_TRY(Convolution c, Convolution::of(node, input.shape, weight.shape));
    return one_type(input.dtype, c.result(input.shape, weight.shape));
  };
  entry.define = define_convolution;
  ops.push_back(entry);
  // The functional forms have the same arguments, without transposition.
  for (const char* name : {"aten.conv1d.default", "aten.conv2d.default", "aten.conv3d.default"}) {
    entry.name = name;
    ops.push_back(entry);
  }
}

}  // namespace kernelwright::graph

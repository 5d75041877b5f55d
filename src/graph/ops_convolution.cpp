// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>

#include "graph/op_support.h"
#include "graph/scalar_ops.h"

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

// A transposed convolution by the phases of its stride s along one dimension. Output o is q s + r
// for a position u = o + shift, and hears input i through tap k where u = i s + k - offset; so k =
// r + offset - d s with i = q + d, and only `taps` values of d, from `first` on, are of use to any
// r. The input is then read at q + d whatever the phase is: a plain convolution whose output
// channels are channels times phases. shift 0 makes the output itself; shift = padding % s may need
// fewer taps.
struct Phases {
  int64_t shift = 0, offset = 0, first = 0, taps = 1;

  static Phases with_shift(int64_t shift, int64_t padding, int64_t stride, int64_t kernel) {
    Phases p{shift, padding - shift, 0, 1};
    p.first = -apply_int(ExprOp::kFloorDiv, kernel - 1 - p.offset, stride);
    p.taps = apply_int(ExprOp::kFloorDiv, stride - 1 + p.offset, stride) - p.first + 1;
    return p;
  }
  static Phases of(int64_t padding, int64_t stride, int64_t kernel) {
    const Phases plain = with_shift(0, padding, stride, kernel);
    const Phases shifted = with_shift(padding % stride, padding, stride, kernel);
    return shifted.taps < plain.taps ? shifted : plain;
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

  // What is made: the output, or whole phases of which it is a part.
  Shape made = out;
  std::vector<int64_t> reduce = {in_per_group};
  std::vector<std::optional<Phases>> phases(c.dims);
  std::vector<Expr> cut = {axis(0), axis(1)};
  for (size_t i = 0; i < c.dims; ++i) {
    if (c.transposed && c.stride[i] > 1 && c.dilation[i] == 1)
      phases[i] = Phases::of(c.padding[i], c.stride[i], w[i + 2]);
    reduce.push_back(phases[i] ? phases[i]->taps : w[i + 2]);
    const int64_t shift = phases[i] ? phases[i]->shift : 0;
    cut.push_back(axis(static_cast<int>(i) + 2) + integer(shift));
    if (phases[i]) made[i + 2] = (out[i + 2] + shift + c.stride[i] - 1) / c.stride[i] * c.stride[i];
  }
  std::vector<int64_t> extents = made;
  extents.insert(extents.end(), reduce.begin(), reduce.end());

  // The group of an output channel; the input channel within it is the first reduction axis.
  const Expr group =
      c.groups == 1 ? integer(0) : binary(ExprOp::kFloorDiv, axis(1), integer(out_per_group));
  const Expr channel = group * integer(in_per_group) + axis(rank);
  std::vector<Expr> at = {axis(0), channel};
  std::vector<Expr> weight_at = {axis(1), axis(rank)};
  if (c.transposed)
    weight_at = {channel,
                 c.groups == 1 ? axis(1) : binary(ExprOp::kMod, axis(1), integer(out_per_group))};
  Expr inside = boolean(true), tapped = boolean(true);
  for (size_t i = 0; i < c.dims; ++i) {
    const Expr o = axis(static_cast<int>(i) + 2), k = axis(rank + 1 + static_cast<int>(i));
    const Expr stride = integer(c.stride[i]);
    Expr tap = k;
    Expr position = o * stride + k * integer(c.dilation[i]) - integer(c.padding[i]);
    if (phases[i]) {
      const Expr d = k + integer(phases[i]->first);
      tap = binary(ExprOp::kMod, o, stride) + integer(phases[i]->offset) - d * stride;
      position = binary(ExprOp::kFloorDiv, o, stride) + d;
      tapped = binary(ExprOp::kAnd, tapped, in_range(tap, w[i + 2], extents));
    } else if (c.transposed) {
      const Expr scaled = o + integer(c.padding[i]) - k * integer(c.dilation[i]);
      inside = binary(ExprOp::kAnd, inside,
                      binary(ExprOp::kEq, binary(ExprOp::kMod, scaled, stride), integer(0)));
      position = binary(ExprOp::kFloorDiv, scaled, stride);
    }
    inside = binary(ExprOp::kAnd, inside, in_range(position, x[i + 2], extents));
    at.push_back(position);
    weight_at.push_back(tap);
  }
  // Padding is a select round the load: the outside is never read.
  Expr value = select(inside, load_of(lowering, input, std::move(at)), constant(0));
  Expr factor = select(tapped, load_of(lowering, weight, std::move(weight_at)), constant(0));
  Expr body = value * factor;
  Expr finish = bias < 0 ? nullptr : reduced(body->kind) + load_of(lowering, bias, {axis(1)});
  Stage stage = reduce_stage(Combiner::kSum, std::move(reduce), std::move(body), std::move(finish));
  if (made == out) {
    lowering.define(0, std::move(stage));
    return {};
  }
  const int whole =
      lowering.define_temporary({lowering.output_type().dtype, made, {}}, std::move(stage));
  lowering.define(0, plain_stage(load_of(lowering, whole, std::move(cut))));
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

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

// Windows over the trailing dimensions.
struct Windows {
  size_t dims = 0, lead = 0;
  std::vector<int64_t> kernel, stride, padding, dilation;
  Shape result;

  static Result<Windows> of(const Node& node, const Shape& input, size_t dims) {
    Windows w;
    w.dims = dims;
    if (input.size() != dims + 1 && input.size() != dims + 2)
      return op_error(node, fmt::format("wants {} dimensions after the channels", dims));
    w.lead = input.size() - dims;
    KW_TRY(w.kernel, spatial_list(node, "kernel_size", dims, 1));
    KW_TRY(w.padding, spatial_list(node, "padding", dims, 0));
    KW_TRY(w.dilation, spatial_list(node, "dilation", dims, 1));
    if (node.int_list_arg("stride").empty())
      w.stride = w.kernel;
    else {
      KW_TRY(w.stride, spatial_list(node, "stride", dims, 1));
    }
    const bool ceil = node.bool_arg("ceil_mode", false);
    w.result.assign(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(w.lead));
    for (size_t i = 0; i < dims; ++i) {
      if (w.kernel[i] < 1 || w.stride[i] < 1 || w.dilation[i] < 1)
        return op_error(node, "kernel, stride and dilation must be positive");
      const int64_t extent = input[w.lead + i];
      const int64_t span = extent + 2 * w.padding[i] - w.dilation[i] * (w.kernel[i] - 1) - 1;
      if (span < 0) return op_error(node, "the kernel is larger than the padded input");
      int64_t out = (span + (ceil ? w.stride[i] - 1 : 0)) / w.stride[i] + 1;
      // The last window must start inside the input or its left padding.
      if (ceil && (out - 1) * w.stride[i] >= extent + w.padding[i]) --out;
      w.result.push_back(out);
    }
    return w;
  }

  std::vector<int64_t> extents() const {
    std::vector<int64_t> out = result;
    out.insert(out.end(), kernel.begin(), kernel.end());
    return out;
  }
  Expr out_axis(size_t i) const { return axis(static_cast<int>(lead + i)); }
  Expr start(size_t i) const { return out_axis(i) * integer(stride[i]) - integer(padding[i]); }
  // Position in the input along spatial dimension i of window element `k`.
  Expr position(size_t i, const Expr& k) const { return start(i) + k * integer(dilation[i]); }
  Expr window_axis(size_t i) const { return axis(static_cast<int>(result.size() + i)); }
};

// The input element under a window, or `outside` in the padding.
Expr windowed_load(const Lowering& lowering, int input, const Windows& w, Expr outside) {
  const Shape& shape = lowering.type(input).shape;
  std::vector<Expr> index = axes_from(0, w.lead);
  Expr inside = boolean(true);
  for (size_t i = 0; i < w.dims; ++i) {
    index.push_back(w.position(i, w.window_axis(i)));
    inside = binary(ExprOp::kAnd, inside, in_range(index.back(), shape[w.lead + i], w.extents()));
  }
  return select(inside, load_of(lowering, input, std::move(index)), std::move(outside));
}

OpEntry max_pool_op(std::string name, size_t dims, bool indices) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kPooling;
  entry.infer = [dims, indices](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType input, operand_type(graph, node, "self"));
    KW_TRY(Windows w, Windows::of(node, input.shape, dims));
    Types out = one_type(input.dtype, w.result);
    if (indices) out.push_back({DType::kI64, w.result, {}});
    return out;
  };
  entry.define = [dims, indices](Lowering& lowering) -> Status {
    const int input = lowering.operand("self");
    const Shape shape = lowering.type(input).shape;
    KW_TRY(Windows w, Windows::of(lowering.node(), shape, dims));
    Expr value =
        windowed_load(lowering, input, w, constant(-std::numeric_limits<double>::infinity()));
    lowering.define(0, reduce_stage(Combiner::kMax, w.kernel, value));
    if (!indices) return {};
    // Position within the window back to a position within the input's last dimensions.
    const std::vector<Expr> k = unflatten_index(reduced(ScalarKind::kInt), w.kernel);
    std::vector<Expr> at;
    for (size_t i = 0; i < dims; ++i) at.push_back(w.position(i, k[i]));
    const Shape spatial(shape.begin() + static_cast<std::ptrdiff_t>(w.lead), shape.end());
    lowering.define(1,
                    reduce_stage(Combiner::kArgMax, w.kernel, value, flatten_index(at, spatial)));
    return {};
  };
  return entry;
}

OpEntry avg_pool_op(std::string name, size_t dims) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kPooling;
  entry.infer = [dims](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType input, operand_type(graph, node, "self"));
    KW_TRY(Windows w, Windows::of(node, input.shape, dims));
    return one_type(input.dtype, w.result);
  };
  entry.define = [dims](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int input = lowering.operand("self");
    const Shape shape = lowering.type(input).shape;
    KW_TRY(Windows w, Windows::of(node, shape, dims));
    const bool include_padding = node.bool_arg("count_include_pad", true);
    Expr divisor = integer(1);
    for (size_t i = 0; i < dims; ++i) {
      const int64_t extent = shape[w.lead + i];
      const Expr last = integer(include_padding ? extent + w.padding[i] : extent);
      Expr first = w.start(i);
      const Expr end = binary(ExprOp::kMin, first + integer(w.kernel[i]), last);
      if (!include_padding) first = binary(ExprOp::kMax, first, integer(0));
      divisor = divisor * (end - first);
    }
    const int64_t overridden = node.int_arg("divisor_override", 0);
    if (overridden != 0) divisor = integer(overridden);
    divisor = simplify_index(divisor, w.result);
    Expr value = windowed_load(lowering, input, w, constant(0));
    lowering.define(0, reduce_stage(Combiner::kSum, w.kernel, value,
                                    binary(ExprOp::kDiv, reduced(value->kind), divisor)));
    return {};
  };
  return entry;
}

// Window i of `out` over an extent: from floor(i in / out) to ceil((i + 1) in / out).
OpEntry adaptive_op(std::string name, size_t dims, bool max) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kPooling;
  entry.infer = [dims, max](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType input, operand_type(graph, node, "self"));
    if (input.shape.size() != dims + 1 && input.shape.size() != dims + 2)
      return op_error(node, "unexpected rank");
    KW_TRY(std::vector<int64_t> size, spatial_list(node, "output_size", dims, 1));
    Shape out(input.shape.begin(), input.shape.end() - static_cast<std::ptrdiff_t>(dims));
    out.insert(out.end(), size.begin(), size.end());
    Types types = one_type(input.dtype, out);
    if (max) types.push_back({DType::kI64, out, {}});
    return types;
  };
  entry.define = [dims, max](Lowering& lowering) -> Status {
    const int input = lowering.operand("self");
    const Shape shape = lowering.type(input).shape, out = lowering.output_type().shape;
    const size_t lead = shape.size() - dims;
    std::vector<Expr> starts, index = axes_from(0, lead);
    std::vector<int64_t> kernel;
    Expr inside = boolean(true), count = integer(1);
    for (size_t i = 0; i < dims; ++i) {
      const int64_t extent = shape[lead + i], parts = out[lead + i];
      if (parts < 1) return op_error(lowering.node(), "output of no extent");
      int64_t widest = 0;
      for (int64_t p = 0; p < parts && p < extent; ++p)
        widest = std::max(widest, ((p + 1) * extent + parts - 1) / parts - p * extent / parts);
      kernel.push_back(widest);
      const Expr o = axis(static_cast<int>(lead + i));
      const Expr start = binary(ExprOp::kFloorDiv, o * integer(extent), integer(parts));
      const Expr end =
          binary(ExprOp::kFloorDiv, (o + integer(1)) * integer(extent) + integer(parts - 1),
                 integer(parts));
      const Expr length = simplify_index(end - start, out);
      const Expr k = axis(static_cast<int>(out.size() + i));
      inside = binary(ExprOp::kAnd, inside,
                      extent % parts == 0 ? boolean(true) : binary(ExprOp::kLt, k, length));
      count = count * length;
      starts.push_back(start);
      index.push_back(start + k);
    }
    Expr outside = constant(max ? -std::numeric_limits<double>::infinity() : 0);
    Expr value = select(inside, load_of(lowering, input, std::move(index)), outside);
    if (!max) {
      lowering.define(0, reduce_stage(Combiner::kSum, kernel, value,
                                      binary(ExprOp::kDiv, reduced(value->kind), count)));
      return {};
    }
    lowering.define(0, reduce_stage(Combiner::kMax, kernel, value));
    std::vector<Expr> at = unflatten_index(reduced(ScalarKind::kInt), kernel);
    for (size_t i = 0; i < dims; ++i) at[i] = starts[i] + at[i];
    const Shape spatial(shape.begin() + static_cast<std::ptrdiff_t>(lead), shape.end());
    lowering.define(1, reduce_stage(Combiner::kArgMax, kernel, value, flatten_index(at, spatial)));
    return {};
  };
  return entry;
}

}  // namespace

void add_pooling_ops(OpList& ops) {
  for (size_t dims = 1; dims <= 3; ++dims) {
    ops.push_back(max_pool_op(fmt::format("aten.max_pool{}d.default", dims), dims, false));
    ops.push_back(
        max_pool_op(fmt::format("aten.max_pool{}d_with_indices.default", dims), dims, true));
    ops.push_back(avg_pool_op(fmt::format("aten.avg_pool{}d.default", dims), dims));
    ops.push_back(adaptive_op(fmt::format("aten.adaptive_avg_pool{}d.default", dims), dims, false));
    ops.push_back(adaptive_op(fmt::format("aten.adaptive_max_pool{}d.default", dims), dims, true));
    if (dims > 1)
      ops.push_back(
          adaptive_op(fmt::format("aten._adaptive_avg_pool{}d.default", dims), dims, false));
  }
}

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
// Ops that only move elements: each is a map from an output position to an input position.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

// Where output element `at` of output `index` comes from; `to` is the output's shape.
using IndexMap = std::function<std::vector<Expr>(const Node& node, const Shape& from,
                                                 const Shape& to, std::vector<Expr> at, int index)>;
using ShapeRule = std::function<Result<std::vector<Shape>>(const Node& node, const Shape& from)>;

OpEntry move_op(std::string name, const ShapeRule& shapes, const IndexMap& map) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [shapes](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_TRY(std::vector<Shape> out, shapes(node, from.shape));
    Types types;
    for (auto& shape : out) types.push_back({from.dtype, std::move(shape), {}});
    return types;
  };
  entry.define = [map](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int from = lowering.operand("self");
    const Shape from_shape = lowering.type(from).shape;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const Shape to = lowering.output_type(static_cast<int>(i)).shape;
      auto index = map(node, from_shape, to, axes_from(0, to.size()), static_cast<int>(i));
      lowering.define(static_cast<int>(i), plain_stage(load_of(lowering, from, std::move(index))));
    }
    return {};
  };
  return entry;
}

size_t dim_of(const Node& node, const Shape& shape, const char* name = "dim",
              int64_t fallback = 0) {
  const int64_t dim = node.int_arg(name, fallback);
  return static_cast<size_t>(dim < 0 ? dim + static_cast<int64_t>(shape.size()) : dim);
}

Result<std::vector<Shape>> one(Shape shape) {
  return std::vector<Shape>{std::move(shape)};
}

std::vector<Expr> reshaped(const Node&, const Shape& from, const Shape& to,
                           const std::vector<Expr>& at, int) {
  return unflatten_index(flatten_index(at, to), from);
}

Result<std::vector<Shape>> view_shape(const Node& node, const Shape& from) {
  Shape size = node.int_list_arg(node.args.contains("size") ? "size" : "shape");
  int64_t known = 1;
  int64_t* open = nullptr;
  for (auto& extent : size) {
    if (extent == -1)
      open = &extent;
    else
      known *= extent;
  }
  if (open) *open = known > 0 ? element_count(from) / known : 0;
  if (element_count(size) != element_count(from))
    return op_error(node,
                    fmt::format("{} does not view as {}", shape_text(from), shape_text(size)));
  return one(size);
}

Result<std::vector<Shape>> flattened_shape(const Node& node, const Shape& from) {
  if (from.empty()) return one({1});
  KW_TRY(int64_t first, normalize_dim(node, node.int_arg("start_dim", 0), from.size()));
  KW_TRY(int64_t last, normalize_dim(node, node.int_arg("end_dim", -1), from.size()));
  if (first > last) return op_error(node, "start_dim is after end_dim");
  Shape out(from.begin(), from.begin() + first);
  out.push_back(std::accumulate(from.begin() + first, from.begin() + last + 1, int64_t{1},
                                std::multiplies<>()));
  out.insert(out.end(), from.begin() + last + 1, from.end());
  return one(out);
}

// permute, transpose and t as one list: output dimension i is input dimension order[i].
Result<std::vector<size_t>> order_of(const Node& node, const Shape& from) {
  std::vector<size_t> order(from.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (node.op.starts_with("aten.permute")) {
    const auto dims = node.int_list_arg("dims");
    if (dims.size() != from.size()) return op_error(node, "one dimension each, please");
    for (size_t i = 0; i < dims.size(); ++i) {
      KW_TRY(int64_t dim, normalize_dim(node, dims[i], from.size()));
      order[i] = static_cast<size_t>(dim);
    }
    auto sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < sorted.size(); ++i)
      if (sorted[i] != i) return op_error(node, "repeated dimension");
  } else if (node.op.starts_with("aten.transpose")) {
    KW_TRY(int64_t a, normalize_dim(node, node.int_arg("dim0", 0), from.size()));
    KW_TRY(int64_t b, normalize_dim(node, node.int_arg("dim1", 0), from.size()));
    if (!from.empty()) std::swap(order[static_cast<size_t>(a)], order[static_cast<size_t>(b)]);
  } else if (from.size() == 2) {
    std::swap(order[0], order[1]);
  }
  return order;
}

OpEntry permute_op(std::string name) {
  return move_op(
      std::move(name),
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        KW_TRY(std::vector<size_t> order, order_of(node, from));
        Shape out;
        for (size_t dim : order) out.push_back(from[dim]);
        return one(out);
      },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        auto order = order_of(node, from);
        std::vector<Expr> index(from.size());
        for (size_t i = 0; i < at.size(); ++i) index[(*order)[i]] = at[i];
        return index;
      });
}

struct SliceArgs {
  int64_t start = 0, step = 1, count = 0;
};

SliceArgs slice_args(const Node& node, int64_t extent) {
  auto bound = [&](const char* name, int64_t fallback) {
    int64_t value = node.int_arg(name, fallback);
    if (value < 0) value += extent;
    return std::clamp<int64_t>(value, 0, extent);
  };
  SliceArgs out;
  out.start = bound("start", 0);
  out.step = std::max<int64_t>(node.int_arg("step", 1), 1);
  const int64_t end = std::max(bound("end", extent), out.start);
  out.count = (end - out.start + out.step - 1) / out.step;
  return out;
}

// Lengths of the parts of split, split_with_sizes, chunk and unbind.
Result<std::vector<int64_t>> part_lengths(const Node& node, int64_t extent) {
  std::vector<int64_t> sizes = node.int_list_arg("split_sizes");
  if (node.op.starts_with("aten.split.sizes")) sizes = node.int_list_arg("split_size");
  if (sizes.empty()) {
    int64_t size = node.int_arg("split_size", extent);
    if (node.op.starts_with("aten.chunk")) {
      const int64_t chunks = std::max<int64_t>(node.int_arg("chunks", 1), 1);
      size = (extent + chunks - 1) / chunks;
    }
    if (node.op.starts_with("aten.unbind")) size = 1;
    if (size <= 0) return op_error(node, "parts of no length");
    for (int64_t done = 0; done < extent; done += size)
      sizes.push_back(std::min(size, extent - done));
  }
  int64_t total = 0;
  for (int64_t size : sizes) total += size;
  if (total != extent)
    return op_error(node, fmt::format("parts of {} in all do not fill {}", total, extent));
  return sizes;
}

OpEntry split_op(std::string name) {
  return move_op(
      std::move(name),
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        KW_CHECK_OK(normalize_dim(node, node.int_arg("dim", 0), from.size()));
        const size_t dim = dim_of(node, from);
        KW_TRY(std::vector<int64_t> lengths, part_lengths(node, from.at(dim)));
        std::vector<Shape> out;
        for (int64_t length : lengths) {
          out.push_back(from);
          if (node.op.starts_with("aten.unbind"))
            out.back().erase(out.back().begin() + static_cast<std::ptrdiff_t>(dim));
          else
            out.back()[dim] = length;
        }
        return out;
      },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int index) {
        const size_t dim = dim_of(node, from);
        auto lengths = part_lengths(node, from[dim]);
        int64_t start = 0;
        for (int i = 0; i < index; ++i) start += (*lengths)[static_cast<size_t>(i)];
        if (node.op.starts_with("aten.unbind"))
          at.insert(at.begin() + static_cast<std::ptrdiff_t>(dim), integer(start));
        else
          at[dim] = at[dim] + integer(start);
        return at;
      });
}

std::vector<bool> squeezed(const Node& node, const Shape& from) {
  std::vector<bool> gone(from.size(), false);
  if (node.op == "aten.squeeze.default") {
    for (size_t i = 0; i < from.size(); ++i) gone[i] = from[i] == 1;
  } else {
    for (int64_t dim : node.int_list_arg("dim")) {
      const int64_t d = dim < 0 ? dim + static_cast<int64_t>(from.size()) : dim;
      if (d >= 0 && d < static_cast<int64_t>(from.size()))
        gone[static_cast<size_t>(d)] = from[static_cast<size_t>(d)] == 1;
    }
  }
  return gone;
}

OpEntry squeeze_op(std::string name) {
  return move_op(
      std::move(name),
      [](const Node& node, const Shape& from) {
        Shape out;
        auto gone = squeezed(node, from);
        for (size_t i = 0; i < from.size(); ++i)
          if (!gone[i]) out.push_back(from[i]);
        return one(out);
      },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        auto gone = squeezed(node, from);
        std::vector<Expr> index;
        size_t next = 0;
        for (size_t i = 0; i < from.size(); ++i) index.push_back(gone[i] ? integer(0) : at[next++]);
        return index;
      });
}

OpEntry expand_op(std::string name) {
  return move_op(
      std::move(name),
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        Shape out = node.int_list_arg("size");
        if (out.size() < from.size()) return op_error(node, "expands to a smaller rank");
        const size_t lead = out.size() - from.size();
        for (size_t i = 0; i < from.size(); ++i) {
          int64_t& extent = out[lead + i];
          if (extent == -1) extent = from[i];
          if (extent != from[i] && from[i] != 1)
            return op_error(node, "expands a dimension that is not 1");
        }
        return one(out);
      },
      [](const Node&, const Shape& from, const Shape& to, std::vector<Expr> at, int) {
        std::vector<Expr> index(at.end() - static_cast<std::ptrdiff_t>(from.size()), at.end());
        for (size_t i = 0; i < from.size(); ++i)
          if (from[i] == 1) index[i] = integer(0);
        return index;
      });
}

// Padding in PyTorch's order (last dimension first) as (before, after) per dimension.
std::vector<std::pair<int64_t, int64_t>> pad_amounts(const Node& node, const char* name,
                                                     size_t rank) {
  std::vector<std::pair<int64_t, int64_t>> out(rank, {0, 0});
  const auto pad = node.int_list_arg(name);
  for (size_t i = 0; 2 * i + 1 < pad.size() && i < rank; ++i)
    out[rank - 1 - i] = {pad[2 * i], pad[2 * i + 1]};
  return out;
}

Result<std::vector<Shape>> padded_shape(const Node& node, const Shape& from, const char* name) {
  Shape out = from;
  const auto amounts = pad_amounts(node, name, from.size());
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] += amounts[i].first + amounts[i].second;
    if (out[i] < 0) return op_error(node, "padding leaves a negative extent");
  }
  return one(out);
}

OpEntry constant_pad_op() {
  OpEntry entry;
  entry.name = "aten.constant_pad_nd.default";
  entry.op_class = OpClass::kMove;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_TRY(std::vector<Shape> shapes, padded_shape(node, from.shape, "pad"));
    return one_type(from.dtype, shapes[0]);
  };
  entry.define = [](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    const Shape shape = lowering.type(from).shape, to = lowering.output_type().shape;
    const auto amounts = pad_amounts(lowering.node(), "pad", shape.size());
    Expr inside = boolean(true);
    std::vector<Expr> index;
    for (size_t i = 0; i < shape.size(); ++i) {
      index.push_back(axis(static_cast<int>(i)) - integer(amounts[i].first));
      inside = binary(ExprOp::kAnd, inside, in_range(index.back(), shape[i], to));
    }
    Expr fill = number_arg(lowering.node(), "value");
    Expr value = load_of(lowering, from, std::move(index));
    if (!fill) fill = integer(0);
    if (fill->kind != value->kind) fill = cast(lowering.output_type().dtype, fill);
    lowering.define(0, plain_stage(select(inside, value, fill)));
    return {};
  };
  return entry;
}

// Reflection and replication: the position is folded back into the tensor.
OpEntry mirrored_pad_op(std::string name, bool reflect) {
  return move_op(
      std::move(name),
      [](const Node& node, const Shape& from) { return padded_shape(node, from, "padding"); },
      [reflect](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        const auto amounts = pad_amounts(node, "padding", from.size());
        for (size_t i = 0; i < at.size(); ++i) {
          if (amounts[i].first == 0 && amounts[i].second == 0) continue;
          Expr position = at[i] - integer(amounts[i].first), last = integer(from[i] - 1);
          if (reflect) {
            position = unary(ExprOp::kAbs, position);
            at[i] = last - unary(ExprOp::kAbs, last - position);
          } else {
            at[i] = binary(ExprOp::kMin, binary(ExprOp::kMax, position, integer(0)), last);
          }
        }
        return at;
      });
}

// slice_scatter and select_scatter: `src` where the position lies in the slice, self elsewhere.
OpEntry slice_scatter_op(std::string name, bool slice) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType type, operand_type(graph, node, "self"));
    return one_type(type.dtype, type.shape);
  };
  entry.define = [slice](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const Shape to = lowering.output_type().shape;
    const size_t dim = dim_of(node, to);
    const Expr position = axis(static_cast<int>(dim));
    std::vector<Expr> index = axes_from(0, to.size());
    Expr inside;
    if (slice) {
      const SliceArgs args = slice_args(node, to[dim]);
      const Expr offset = position - integer(args.start);
      inside = binary(ExprOp::kAnd, binary(ExprOp::kGe, offset, integer(0)),
                      binary(ExprOp::kLt, offset, integer(args.count * args.step)));
      inside =
          binary(ExprOp::kAnd, inside,
                 binary(ExprOp::kEq, binary(ExprOp::kMod, offset, integer(args.step)), integer(0)));
      index[dim] = binary(ExprOp::kFloorDiv, offset, integer(args.step));
    } else {
      int64_t wanted = node.int_arg("index", 0);
      if (wanted < 0) wanted += to[dim];
      inside = binary(ExprOp::kEq, position, integer(wanted));
      index.erase(index.begin() + static_cast<std::ptrdiff_t>(dim));
    }
    Expr source = load_of(lowering, lowering.operand("src"), std::move(index));
    Expr rest = load_of(lowering, lowering.operand("self"), axes_from(0, to.size()));
    if (source->kind != rest->kind) source = cast(lowering.output_type().dtype, source);
    lowering.define(0, plain_stage(select(inside, source, rest)));
    return {};
  };
  return entry;
}

}  // namespace

void add_move_ops(OpList& ops) {
  for (const char* name :
       {"aten.view.default", "aten.reshape.default", "aten._unsafe_view.default"})
    ops.push_back(move_op(name, view_shape, reshaped));
  ops.push_back(move_op("aten.flatten.using_ints", flattened_shape, reshaped));
  for (const char* name : {"aten.permute.default", "aten.transpose.int", "aten.t.default"})
    ops.push_back(permute_op(name));
  ops.push_back(expand_op("aten.expand.default"));
  for (const char* name : {"aten.squeeze.default", "aten.squeeze.dim", "aten.squeeze.dims"})
    ops.push_back(squeeze_op(name));
  for (const char* name : {"aten.split.Tensor", "aten.split.sizes", "aten.split_with_sizes.default",
                           "aten.chunk.default", "aten.unbind.int"})
    ops.push_back(split_op(name));
  ops.push_back(constant_pad_op());
  ops.push_back(slice_scatter_op("aten.slice_scatter.default", true));
  ops.push_back(slice_scatter_op("aten.select_scatter.default", false));
  for (const char* rank : {"1d", "2d", "3d"}) {
    ops.push_back(mirrored_pad_op(fmt::format("aten.reflection_pad{}.default", rank), true));
    ops.push_back(mirrored_pad_op(fmt::format("aten.replication_pad{}.default", rank), false));
  }
  ops.push_back(move_op(
      "aten.unsqueeze.default",
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        KW_TRY(int64_t dim, normalize_dim(node, node.int_arg("dim", 0), from.size() + 1));
        Shape out = from;
        out.insert(out.begin() + dim, 1);
        return one(out);
      },
      [](const Node& node, const Shape&, const Shape& to, std::vector<Expr> at, int) {
        at.erase(at.begin() + static_cast<std::ptrdiff_t>(dim_of(node, to)));
        return at;
      }));
  ops.push_back(move_op(
      "aten.select.int",
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        KW_TRY(int64_t dim, normalize_dim(node, node.int_arg("dim", 0), from.size()));
        const int64_t extent = from.empty() ? 0 : from[static_cast<size_t>(dim)],
                      index = node.int_arg("index", 0);
        if (index < -extent || index >= extent)
          return op_error(node, fmt::format("index {} is out of range", index));
        Shape out = from;
        out.erase(out.begin() + dim);
        return one(out);
      },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        const size_t dim = dim_of(node, from);
        int64_t index = node.int_arg("index", 0);
        if (index < 0) index += from[dim];
        at.insert(at.begin() + static_cast<std::ptrdiff_t>(dim), integer(index));
        return at;
      }));
  ops.push_back(move_op(
      "aten.slice.Tensor",
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        KW_TRY(int64_t dim, normalize_dim(node, node.int_arg("dim", 0), from.size()));
        if (from.empty()) return op_error(node, "slices a scalar");
        Shape out = from;
        out[static_cast<size_t>(dim)] = slice_args(node, from[static_cast<size_t>(dim)]).count;
        return one(out);
      },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        const size_t dim = dim_of(node, from);
        const SliceArgs args = slice_args(node, from[dim]);
        at[dim] = at[dim] * integer(args.step) + integer(args.start);
        return at;
      }));
  ops.push_back(move_op(
      "aten.flip.default", [](const Node&, const Shape& from) { return one(from); },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        for (int64_t dim : node.int_list_arg("dims")) {
          const size_t d =
              static_cast<size_t>(dim < 0 ? dim + static_cast<int64_t>(from.size()) : dim);
          at.at(d) = integer(from.at(d) - 1) - at.at(d);
        }
        return at;
      }));
  ops.push_back(move_op(
      "aten.roll.default",
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        if (node.int_list_arg("dims").size() != node.int_list_arg("shifts").size())
          return op_error(node, "only with as many dims as shifts");
        return one(from);
      },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        const auto dims = node.int_list_arg("dims"), shifts = node.int_list_arg("shifts");
        for (size_t i = 0; i < dims.size(); ++i) {
          const size_t d = static_cast<size_t>(
              dims[i] < 0 ? dims[i] + static_cast<int64_t>(from.size()) : dims[i]);
          at.at(d) = binary(ExprOp::kMod, at.at(d) - integer(shifts[i]),
                            integer(std::max<int64_t>(from.at(d), 1)));
        }
        return at;
      }));
  ops.push_back(move_op(
      "aten.repeat.default",
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        Shape out = node.int_list_arg("repeats");
        if (out.size() < from.size()) return op_error(node, "fewer repeats than dimensions");
        for (size_t i = 0; i < from.size(); ++i) out[out.size() - from.size() + i] *= from[i];
        return one(out);
      },
      [](const Node&, const Shape& from, const Shape& to, std::vector<Expr> at, int) {
        std::vector<Expr> index;
        for (size_t i = 0; i < from.size(); ++i)
          index.push_back(binary(ExprOp::kMod, at[to.size() - from.size() + i],
                                 integer(std::max<int64_t>(from[i], 1))));
        return index;
      }));
  // Windows of `size` along a dimension become a last dimension.
  ops.push_back(move_op(
      "aten.unfold.default",
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        KW_CHECK_OK(normalize_dim(node, node.int_arg("dimension", 0), from.size()));
        const int64_t size = node.int_arg("size", 1), step = node.int_arg("step", 1);
        const size_t dim = dim_of(node, from, "dimension");
        if (from.empty() || size < 0 || step < 1 || size > from[dim])
          return op_error(node, "windows do not fit");
        Shape out = from;
        out[dim] = (from[dim] - size) / step + 1;
        out.push_back(size);
        return one(out);
      },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        const size_t dim = dim_of(node, from, "dimension");
        at[dim] = at[dim] * integer(node.int_arg("step", 1)) + at.back();
        at.pop_back();
        return at;
      }));
  // The diagonal of two dimensions becomes a last dimension.
  ops.push_back(move_op(
      "aten.diagonal.default",
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        KW_CHECK_OK(normalize_dim(node, node.int_arg("dim1", 0), from.size()));
        KW_CHECK_OK(normalize_dim(node, node.int_arg("dim2", 1), from.size()));
        const size_t first = dim_of(node, from, "dim1"), second = dim_of(node, from, "dim2", 1);
        if (from.size() < 2 || first == second) return op_error(node, "wants two dimensions");
        const int64_t offset = node.int_arg("offset", 0);
        Shape out;
        for (size_t i = 0; i < from.size(); ++i)
          if (i != first && i != second) out.push_back(from[i]);
        out.push_back(std::max<int64_t>(0, std::min(from[first] + std::min<int64_t>(offset, 0),
                                                    from[second] - std::max<int64_t>(offset, 0))));
        return one(out);
      },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        const size_t first = dim_of(node, from, "dim1"), second = dim_of(node, from, "dim2", 1);
        const int64_t offset = node.int_arg("offset", 0);
        std::vector<Expr> index(from.size());
        size_t next = 0;
        for (size_t i = 0; i < from.size(); ++i)
          if (i != first && i != second) index[i] = at[next++];
        index[first] = at.back() + integer(std::max<int64_t>(-offset, 0));
        index[second] = at.back() + integer(std::max<int64_t>(offset, 0));
        return index;
      }));
  // Channels to space and back: C r^2 channels of H x W against C channels of H r x W r.
  ops.push_back(move_op(
      "aten.pixel_shuffle.default",
      [](const Node& node, const Shape& from) -> Result<std::vector<Shape>> {
        const int64_t r = node.int_arg("upscale_factor", 1);
        const size_t rank = from.size();
        if (rank < 3 || r < 1 || from[rank - 3] % (r * r) != 0)
          return op_error(node, "channels do not divide");
        Shape out = from;
        out[rank - 3] /= r * r;
        out[rank - 2] *= r;
        out[rank - 1] *= r;
        return one(out);
      },
      [](const Node& node, const Shape& from, const Shape&, std::vector<Expr> at, int) {
        const Expr r = integer(node.int_arg("upscale_factor", 1));
        const size_t c = from.size() - 3;
        auto over = [&](const Expr& e) { return binary(ExprOp::kFloorDiv, e, r); };
        auto rest = [&](const Expr& e) { return binary(ExprOp::kMod, e, r); };
        std::vector<Expr> index = at;
        index[c] = (at[c] * r + rest(at[c + 1])) * r + rest(at[c + 2]);
        index[c + 1] = over(at[c + 1]);
        index[c + 2] = over(at[c + 2]);
        return index;
      }));
}

}  // namespace kernelwright::graph

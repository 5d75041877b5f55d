// SPDX-License-Identifier: Apache-2.0
#include "graph/op_support.h"

#include <fmt/format.h>

#include <algorithm>

namespace kernelwright::graph {
namespace {

int category(DType dtype) {
  return is_float(dtype) ? 2 : is_integer(dtype) ? 1 : 0;
}

// PyTorch's combine_categories: the lower rank counts only when it is of a higher category.
std::optional<DType> combine(std::optional<DType> higher, std::optional<DType> lower) {
  if (!higher) return lower;
  if (!lower || is_float(*higher)) return higher;
  if (*higher == DType::kBool || is_float(*lower)) return promote(*higher, *lower);
  return higher;
}

}  // namespace

tl::unexpected<Error> op_error(const Node& node, const std::string& what) {
  Error error{ErrorKind::kInput, fmt::format("{}: {}", node.name, what), {}};
  error.with("op", node.op);
  if (!node.module_path.empty()) error.with("module", node.module_path);
  return fail(std::move(error));
}

Result<TensorType> operand_type(const Graph& graph, const Node& node, const std::string& name) {
  auto id = node.value_arg(name);
  if (!id) return op_error(node, fmt::format("argument \"{}\" must be a tensor", name));
  TensorType type = graph.value(*id).type;
  type.strides.clear();
  return type;
}

std::vector<TensorType> one_type(DType dtype, Shape shape) {
  return {TensorType{dtype, std::move(shape), {}}};
}

Result<Shape> broadcast_shapes(const Node& node, const std::vector<Shape>& shapes) {
  Shape out;
  for (const auto& shape : shapes) {
    if (shape.size() > out.size()) out.insert(out.begin(), shape.size() - out.size(), 1);
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t& extent = out[out.size() - shape.size() + i];
      if (shape[i] == extent || shape[i] == 1) continue;
      if (extent != 1)
        return op_error(node, fmt::format("shapes {} and {} do not broadcast", shape_text(out),
                                          shape_text(shape)));
      extent = shape[i];
    }
  }
  return out;
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (category(a) != category(b)) return category(a) > category(b) ? a : b;
  if (is_float(a)) {
    if (a == DType::kF64 || b == DType::kF64) return DType::kF64;
    return DType::kF32;  // f32 with a half type, or f16 with bf16
  }
  if (a == DType::kU8 || b == DType::kU8) {
    DType other = a == DType::kU8 ? b : a;
    return other == DType::kI8 ? DType::kI16 : other;
  }
  if (a == DType::kU32 || b == DType::kU32) return DType::kI64;
  return dtype_bytes(a) > dtype_bytes(b) ? a : b;
}

DType promoted_dtype(const Graph& graph, const Node& node, const std::vector<std::string>& names) {
  std::optional<DType> tensors, scalars, numbers;
  auto join = [](std::optional<DType>& slot, DType dtype) {
    slot = slot ? promote(*slot, dtype) : dtype;
  };
  for (const auto& name : names) {
    const Argument& arg = node.arg(name);
    if (auto id = node.value_arg(name)) {
      const TensorType& type = graph.value(*id).type;
      join(type.shape.empty() ? scalars : tensors, type.dtype);
    } else if (std::holds_alternative<double>(arg.data)) {
      join(numbers, DType::kF32);
    } else if (std::holds_alternative<int64_t>(arg.data)) {
      join(numbers, DType::kI64);
    } else if (std::holds_alternative<bool>(arg.data)) {
      join(numbers, DType::kBool);
    }
  }
  return combine(tensors, combine(scalars, numbers)).value_or(DType::kF32);
}

DType accumulate_dtype(DType dtype) {
  return dtype == DType::kF16 || dtype == DType::kBF16 ? DType::kF32 : dtype;
}

Result<int64_t> normalize_dim(const Node& node, int64_t dim, size_t rank) {
  const int64_t extent = std::max<int64_t>(static_cast<int64_t>(rank), 1);
  if (dim < -extent || dim >= extent)
    return op_error(node, fmt::format("dimension {} is out of range", dim));
  return dim < 0 ? dim + extent : dim;
}

DType dtype_arg(const Node& node, const std::string& name, DType fallback) {
  const auto* dtype = std::get_if<DType>(&node.arg(name).data);
  return dtype ? *dtype : fallback;
}

Expr number_arg(const Node& node, const std::string& name) {
  const Argument& arg = node.arg(name);
  if (const auto* d = std::get_if<double>(&arg.data)) return constant(*d);
  if (const auto* i = std::get_if<int64_t>(&arg.data)) return integer(*i);
  if (const auto* b = std::get_if<bool>(&arg.data)) return boolean(*b);
  return nullptr;
}

std::vector<Expr> axes_from(size_t first, size_t count) {
  std::vector<Expr> out;
  for (size_t i = 0; i < count; ++i) out.push_back(axis(static_cast<int>(first + i)));
  return out;
}

Expr load_of(const Lowering& lowering, int tensor, std::vector<Expr> index) {
  return load(tensor, scalar_kind(lowering.type(tensor).dtype), std::move(index));
}

Stage plain_stage(Expr body) {
  Stage stage;
  stage.body = std::move(body);
  return stage;
}

Stage reduce_stage(Combiner combiner, std::vector<int64_t> extents, Expr body, Expr finish) {
  Stage stage;
  stage.combiner = combiner;
  stage.reduce = std::move(extents);
  stage.body = std::move(body);
  stage.finish = std::move(finish);
  return stage;
}

Expr flatten_index(const std::vector<Expr>& index, const Shape& shape) {
  Expr position = integer(0);
  for (size_t i = 0; i < index.size(); ++i) position = position * integer(shape[i]) + index[i];
  return position;
}

std::vector<Expr> unflatten_index(const Expr& position, const Shape& shape) {
  std::vector<Expr> out(shape.size());
  Expr rest = position;
  for (size_t i = shape.size(); i-- > 0;) {
    out[i] = i == 0 ? rest : binary(ExprOp::kMod, rest, integer(std::max<int64_t>(shape[i], 1)));
    if (i > 0) rest = binary(ExprOp::kFloorDiv, rest, integer(std::max<int64_t>(shape[i], 1)));
  }
  return out;
}

Expr in_range(const Expr& index, int64_t extent, const std::vector<int64_t>& axis_extents) {
  return simplify_index(binary(ExprOp::kAnd, binary(ExprOp::kGe, index, integer(0)),
                               binary(ExprOp::kLt, index, integer(extent))),
                        axis_extents);
}

}  // namespace kernelwright::graph

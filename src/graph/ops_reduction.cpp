// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

// Which dimensions of `from` a node reduces: the argument "dim" (absent, None or empty: all).
struct Reduction {
  Shape from;
  std::vector<bool> gone;
  bool keep = false;

  static Result<Reduction> of(const Node& node, const Shape& from) {
    Reduction out{from, std::vector<bool>(from.size(), false), node.bool_arg("keepdim", false)};
    const auto dims = node.int_list_arg("dim");
    if (dims.empty()) out.gone.assign(from.size(), true);
    for (int64_t dim : dims) {
      KW_TRY(int64_t d, normalize_dim(node, dim, from.size()));
      if (!from.empty()) out.gone[static_cast<size_t>(d)] = true;
    }
    return out;
  }

  Shape result() const {
    Shape out;
    for (size_t i = 0; i < from.size(); ++i)
      if (!gone[i])
        out.push_back(from[i]);
      else if (keep)
        out.push_back(1);
    return out;
  }
  std::vector<int64_t> extents() const {
    std::vector<int64_t> out;
    for (size_t i = 0; i < from.size(); ++i)
      if (gone[i]) out.push_back(from[i]);
    return out;
  }
  int64_t count() const { return element_count(extents()); }
  // Index of the operand at an output position and the reduction axes.
  std::vector<Expr> index() const {
    std::vector<Expr> out;
    int next = 0, reduce = static_cast<int>(result().size());
    for (bool g : gone) {
      if (g)
        out.push_back(axis(reduce++));
      else
        out.push_back(axis(next));
      if (!g || keep) ++next;
    }
    return out;
  }
};

Result<Types> infer_as(const Graph& graph, const Node& node,
                       const std::function<DType(DType)>& dtype) {
  KW_TRY(TensorType from, operand_type(graph, node, "self"));
  KW_TRY(Reduction reduction, Reduction::of(node, from.shape));
  return one_type(dtype_arg(node, "dtype", dtype(from.dtype)), reduction.result());
}

DType same_dtype(DType dtype) {
  return dtype;
}
DType bool_dtype(DType) {
  return DType::kBool;
}
DType index_dtype(DType) {
  return DType::kI64;
}
DType sum_dtype(DType dtype) {
  return is_float(dtype) ? dtype : DType::kI64;
}

using Finish = std::function<Expr(const Reduction&, const Node&, Expr acc)>;
using Body = std::function<Expr(const Node&, Expr value)>;

// One stage: combine body(x) over the reduced dimensions, then finish.
OpEntry reduction_op(std::string name, Combiner combiner, DType (*dtype)(DType),
                     const Body& body = nullptr, const Finish& finish = nullptr) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kReduction;
  entry.infer = [dtype](const Graph& graph, const Node& node) {
    return infer_as(graph, node, dtype);
  };
  entry.define = [combiner, body, finish](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int from = lowering.operand("self");
    KW_TRY(Reduction reduction, Reduction::of(node, lowering.type(from).shape));
    Expr value = load_of(lowering, from, reduction.index());
    const DType to = lowering.output_type().dtype;
    if (scalar_kind(to) != value->kind && combiner != Combiner::kArgMax &&
        combiner != Combiner::kArgMin)
      value = cast(to, value);
    if (body) value = body(node, value);
    const ScalarKind kind = combiner == Combiner::kArgMax || combiner == Combiner::kArgMin
                                ? ScalarKind::kInt
                                : value->kind;
    Expr last = finish ? finish(reduction, node, reduced(kind)) : nullptr;
    lowering.define(0,
                    reduce_stage(combiner, reduction.extents(), std::move(value), std::move(last)));
    return {};
  };
  return entry;
}

// max.dim and min.dim: values and indices.
OpEntry extremum_op(std::string name, bool max) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kReduction;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType from, operand_type(graph, node, "self"));
    KW_TRY(Reduction reduction, Reduction::of(node, from.shape));
    return Types{{from.dtype, reduction.result(), {}}, {DType::kI64, reduction.result(), {}}};
  };
  entry.define = [max](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    KW_TRY(Reduction reduction, Reduction::of(lowering.node(), lowering.type(from).shape));
    Expr value = load_of(lowering, from, reduction.index());
    lowering.define(
        0, reduce_stage(max ? Combiner::kMax : Combiner::kMin, reduction.extents(), value));
    lowering.define(
        1, reduce_stage(max ? Combiner::kArgMax : Combiner::kArgMin, reduction.extents(), value));
    return {};
  };
  return entry;
}

// Variance as the mean of squared deviations, in two passes.
OpEntry variance_op(std::string name, bool root, bool with_mean) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kReduction;
  entry.infer = [with_mean](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(Types types, infer_as(graph, node, same_dtype));
    if (with_mean) types.push_back(types[0]);
    return types;
  };
  entry.define = [root, with_mean](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int from = lowering.operand("self");
    const TensorType type = lowering.type(from);
    KW_TRY(Reduction reduction, Reduction::of(node, type.shape));
    const double count = static_cast<double>(reduction.count());
    const double correction = node.args.contains("unbiased") ? node.bool_arg("unbiased", true)
                                                             : node.float_arg("correction", 1);
    const size_t rank = reduction.result().size();
    Expr value = load_of(lowering, from, reduction.index());
    Stage mean_stage =
        reduce_stage(Combiner::kSum, reduction.extents(), value,
                     binary(ExprOp::kDiv, reduced(ScalarKind::kReal), constant(count)));
    const int mean = lowering.define_temporary(
        {accumulate_dtype(type.dtype), reduction.result(), {}}, mean_stage);
    Expr deviation = value - load_of(lowering, mean, axes_from(0, rank));
    Expr finish = binary(ExprOp::kDiv, reduced(ScalarKind::kReal),
                         constant(std::max(count - correction, 0.0)));
    if (root) finish = unary(ExprOp::kSqrt, finish);
    lowering.define(
        0, reduce_stage(Combiner::kSum, reduction.extents(), deviation * deviation, finish));
    if (with_mean) lowering.define(1, plain_stage(load_of(lowering, mean, axes_from(0, rank))));
    return {};
  };
  return entry;
}

Status define_logsumexp(Lowering& lowering) {
  const int from = lowering.operand("self");
  const TensorType type = lowering.type(from);
  KW_TRY(Reduction reduction, Reduction::of(lowering.node(), type.shape));
  Expr value = load_of(lowering, from, reduction.index());
  // A row of infinities keeps them: subtract 0 there.
  const double infinity = std::numeric_limits<double>::infinity();
  Expr finite =
      binary(ExprOp::kEq, unary(ExprOp::kAbs, reduced(ScalarKind::kReal)), constant(infinity));
  const int top = lowering.define_temporary(
      {accumulate_dtype(type.dtype), reduction.result(), {}},
      reduce_stage(Combiner::kMax, reduction.extents(), value,
                   select(finite, constant(0), reduced(ScalarKind::kReal))));
  Expr shift = load_of(lowering, top, axes_from(0, reduction.result().size()));
  lowering.define(
      0, reduce_stage(Combiner::kSum, reduction.extents(), unary(ExprOp::kExp, value - shift),
                      unary(ExprOp::kLog, reduced(ScalarKind::kReal)) + shift));
  return {};
}

// The norm of order p of `value` over reduction axes; infinite orders are extremes, order 0 counts.
Stage norm_stage(double p, const std::vector<int64_t>& extents, const Expr& value) {
  const Expr size = unary(ExprOp::kAbs, value), acc = reduced(ScalarKind::kReal);
  if (std::isinf(p)) return reduce_stage(p > 0 ? Combiner::kMax : Combiner::kMin, extents, size);
  if (p == 0)
    return reduce_stage(Combiner::kSum, extents,
                        select(binary(ExprOp::kNe, value, constant(0)), constant(1), constant(0)));
  if (p == 1) return reduce_stage(Combiner::kSum, extents, size);
  if (p == 2)
    return reduce_stage(Combiner::kSum, extents, value * value, unary(ExprOp::kSqrt, acc));
  return reduce_stage(Combiner::kSum, extents, binary(ExprOp::kPow, size, constant(p)),
                      binary(ExprOp::kPow, acc, constant(1 / p)));
}

// Vector norm of order `ord`.
OpEntry norm_op(std::string name, const char* order_name) {
  const std::string order = order_name;
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kReduction;
  entry.infer = [](const Graph& graph, const Node& node) {
    return infer_as(graph, node, same_dtype);
  };
  entry.define = [order](Lowering& lowering) -> Status {
    const int from = lowering.operand("self");
    KW_TRY(Reduction reduction, Reduction::of(lowering.node(), lowering.type(from).shape));
    lowering.define(0, norm_stage(lowering.node().float_arg(order, 2), reduction.extents(),
                                  load_of(lowering, from, reduction.index())));
    return {};
  };
  return entry;
}

// Distances of order p between all rows of x1 and all rows of x2.
OpEntry distance_op() {
  OpEntry entry;
  entry.name = "aten._cdist_forward.default";
  entry.op_class = OpClass::kReduction;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType a, operand_type(graph, node, "x1"));
    KW_TRY(TensorType b, operand_type(graph, node, "x2"));
    const size_t rank = a.shape.size();
    if (rank < 2 || b.shape.size() != rank || a.shape.back() != b.shape.back() ||
        !std::equal(a.shape.begin(), a.shape.end() - 2, b.shape.begin()))
      return op_error(node, "rows do not fit");
    a.shape.back() = b.shape[rank - 2];
    return one_type(a.dtype, a.shape);
  };
  entry.define = [](Lowering& lowering) -> Status {
    const int a = lowering.operand("x1"), b = lowering.operand("x2");
    const Shape out = lowering.output_type().shape;
    const int rank = static_cast<int>(out.size());
    std::vector<Expr> i = axes_from(0, out.size()), j = i;
    j[out.size() - 2] = i.back();
    i.back() = j.back() = axis(rank);
    const Expr gap = load_of(lowering, a, i) - load_of(lowering, b, j);
    lowering.define(
        0, norm_stage(lowering.node().float_arg("p", 2), {lowering.type(a).shape.back()}, gap));
    return {};
  };
  return entry;
}

}  // namespace

void add_reduction_ops(OpList& ops) {
  const Finish mean = [](const Reduction& reduction, const Node&, Expr acc) {
    return binary(ExprOp::kDiv, std::move(acc), constant(static_cast<double>(reduction.count())));
  };
  for (const char* name : {"aten.sum.default", "aten.sum.dim_IntList"})
    ops.push_back(reduction_op(name, Combiner::kSum, sum_dtype));
  for (const char* name : {"aten.mean.default", "aten.mean.dim"})
    ops.push_back(reduction_op(name, Combiner::kSum, same_dtype, nullptr, mean));
  for (const char* name : {"aten.prod.default", "aten.prod.dim_int"})
    ops.push_back(reduction_op(name, Combiner::kProd, sum_dtype));
  for (const char* name : {"aten.amax.default", "aten.max.default"})
    ops.push_back(reduction_op(name, Combiner::kMax, same_dtype));
  for (const char* name : {"aten.amin.default", "aten.min.default"})
    ops.push_back(reduction_op(name, Combiner::kMin, same_dtype));
  for (const char* suffix : {"default", "dim", "dims"}) {
    ops.push_back(reduction_op(fmt::format("aten.any.{}", suffix), Combiner::kAny, bool_dtype));
    ops.push_back(reduction_op(fmt::format("aten.all.{}", suffix), Combiner::kAll, bool_dtype));
  }
  ops.push_back(reduction_op("aten.argmax.default", Combiner::kArgMax, index_dtype));
  ops.push_back(reduction_op("aten.argmin.default", Combiner::kArgMin, index_dtype));
  ops.push_back(extremum_op("aten.max.dim", true));
  ops.push_back(extremum_op("aten.min.dim", false));
  for (const char* suffix : {"correction", "dim", "default"}) {
    ops.push_back(variance_op(fmt::format("aten.var.{}", suffix), false, false));
    ops.push_back(variance_op(fmt::format("aten.std.{}", suffix), true, false));
    ops.push_back(variance_op(fmt::format("aten.var_mean.{}", suffix), false, true));
  }
  ops.push_back(
      {"aten.logsumexp.default", OpClass::kReduction,
       [](const Graph& graph, const Node& node) { return infer_as(graph, node, same_dtype); },
       define_logsumexp, nullptr});
  ops.push_back(norm_op("aten.linalg_vector_norm.default", "ord"));
  ops.push_back(distance_op());
  ops.push_back(norm_op("aten.norm.Scalar", "p"));
  ops.push_back(norm_op("aten.norm.ScalarOpt_dim", "p"));
}

}  // namespace kernelwright::graph

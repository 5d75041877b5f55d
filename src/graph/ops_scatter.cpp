// SPDX-License-Identifier: Apache-2.0
// Writes at positions that are data. A stage says what each element of the result is, so they are
// stated from that side: a reduction over all that might be written there.
#include <fmt/format.h>

#include "graph/op_support.h"
#include "graph/scan.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

Expr combined(Combiner combiner, const Expr& a, const Expr& b) {
  switch (combiner) {
    case Combiner::kProd:
      return a * b;
    case Combiner::kMax:
      return binary(ExprOp::kMax, a, b);
    case Combiner::kMin:
      return binary(ExprOp::kMin, a, b);
    default:
      return a + b;
  }
}

// Who writes to an element of the result: the points of reduction axes `extents` at which `hits`
// holds, provided that `possible` does (outside of it nothing may be loaded). `source` is what a
// point writes; null: the node's number "value".
struct Writers {
  std::vector<int64_t> extents;
  Expr possible = boolean(true);
  Expr hits;
  std::function<Expr(const std::vector<Expr>& point)> source;

  std::vector<Expr> point(size_t rank) const { return axes_from(rank, extents.size()); }
};

// The last writer counts (PyTorch leaves open which one does).
void define_assigned(Lowering& lowering, int self, const Writers& writers) {
  const Shape to = lowering.output_type().shape;
  const std::vector<Expr> here = axes_from(0, to.size());
  const Expr number = flatten_index(writers.point(to.size()), writers.extents);
  const int last = lowering.define_temporary(
      {DType::kI64, to, {}},
      reduce_stage(
          Combiner::kMax, writers.extents,
          select(writers.possible, select(writers.hits, number, integer(-1)), integer(-1))));
  const Expr writer = load_of(lowering, last, here);
  Expr value = writers.source(unflatten_index(writer, writers.extents));
  Expr rest = load_of(lowering, self, here);
  if (value->kind != rest->kind) value = cast(lowering.output_type().dtype, value);
  lowering.define(0, plain_stage(select(binary(ExprOp::kGe, writer, integer(0)), value, rest)));
}

// What is written is combined with the element that was there, or (include_self false) with nothing
// but where nobody writes.
void define_combined(Lowering& lowering, int self, const Writers& writers, Combiner combiner,
                     bool include_self, bool mean) {
  const TensorType to = lowering.output_type();
  const std::vector<Expr> here = axes_from(0, to.shape.size());
  const Expr before = load_of(lowering, self, here);
  Expr value = writers.source(writers.point(to.shape.size()));
  const ScalarKind kind =
      scalar_kind(to.dtype) == ScalarKind::kReal ? ScalarKind::kReal : ScalarKind::kInt;
  if (value->kind != kind) value = cast(kind == ScalarKind::kReal ? to.dtype : DType::kI64, value);
  const Expr neutral = neutral_element(combiner, kind);
  const Expr body = select(writers.possible, select(writers.hits, value, neutral), neutral);
  Expr count;
  if (!include_self || mean) {
    const int counted = lowering.define_temporary(
        {DType::kI64, to.shape, {}},
        reduce_stage(
            Combiner::kSum, writers.extents,
            select(writers.possible, select(writers.hits, integer(1), integer(0)), integer(0))));
    count = load_of(lowering, counted, here);
  }
  Expr finish = reduced(kind);
  if (include_self) finish = combined(combiner, before, finish);
  if (mean) {
    Expr parts = include_self ? count + integer(1) : count;
    parts = binary(ExprOp::kMax, parts, integer(1));
    finish = binary(kind == ScalarKind::kReal ? ExprOp::kDiv : ExprOp::kFloorDiv, finish, parts);
  }
  if (!include_self) finish = select(binary(ExprOp::kGt, count, integer(0)), finish, before);
  lowering.define(0, reduce_stage(combiner, writers.extents, body, finish));
}

// scatter's writers: along `dim`, position j of the index tensor writes to the element that it
// names; the other dimensions of the index tensor may be shorter than the result's.
Result<Writers> scatter_writers(Lowering& lowering) {
  const Node& node = lowering.node();
  const Shape to = lowering.output_type().shape;
  const int index = lowering.operand("index"), source = lowering.operand("src");
  const Shape from = lowering.type(index).shape;
  KW_TRY(int64_t d, normalize_dim(node, node.int_arg("dim", 0), to.size()));
  const size_t dim = static_cast<size_t>(d);
  Writers out;
  const bool scalar = to.empty();
  if (from.size() != to.size()) return op_error(node, "index and result differ in rank");
  out.extents = {scalar ? 1 : from[dim]};
  std::vector<int64_t> extents = to;
  extents.push_back(out.extents[0]);
  for (size_t i = 0; i < to.size(); ++i)
    if (i != dim)
      out.possible =
          binary(ExprOp::kAnd, out.possible, in_range(axis(static_cast<int>(i)), from[i], extents));
  auto place = [to, dim, scalar](const Expr& position) {
    std::vector<Expr> at = axes_from(0, to.size());
    if (!scalar) at[dim] = position;
    return at;
  };
  const Expr target = load_of(lowering, index, place(axis(static_cast<int>(to.size()))));
  out.hits = scalar ? boolean(true) : binary(ExprOp::kEq, target, axis(static_cast<int>(dim)));
  if (source >= 0) {
    out.source = [&lowering, source, place](const std::vector<Expr>& point) {
      return load_of(lowering, source, place(point[0]));
    };
  } else {
    const Expr number = number_arg(node, "value");
    if (!number) return op_error(node, "the value is no number");
    out.source = [number](const std::vector<Expr>&) { return number; };
  }
  return out;
}

Result<Types> infer_like_self(const Graph& graph, const Node& node) {
  KW_TRY(TensorType self, operand_type(graph, node, "self"));
  return Types{self};
}

OpEntry scatter_op(std::string name,
                   const std::function<Status(Lowering&, const Writers&)>& define) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kMove;
  entry.infer = infer_like_self;
  entry.define = [define](Lowering& lowering) -> Status {
    KW_TRY(Writers writers, scatter_writers(lowering));
    return define(lowering, writers);
  };
  return entry;
}

Status define_scatter(Lowering& lowering, const Writers& writers) {
  define_assigned(lowering, lowering.operand("self"), writers);
  return {};
}

Status define_scatter_add(Lowering& lowering, const Writers& writers) {
  define_combined(lowering, lowering.operand("self"), writers, Combiner::kSum, true, false);
  return {};
}

Status define_scatter_reduce(Lowering& lowering, const Writers& writers) {
  const Node& node = lowering.node();
  const auto* kind = std::get_if<std::string>(&node.arg("reduce").data);
  const std::string how = kind ? *kind : "";
  const Combiner combiner = how == "prod"   ? Combiner::kProd
                            : how == "amax" ? Combiner::kMax
                            : how == "amin" ? Combiner::kMin
                                            : Combiner::kSum;
  if (combiner == Combiner::kSum && how != "sum" && how != "mean")
    return op_error(node, fmt::format("reduce \"{}\" is not supported", how));
  define_combined(lowering, lowering.operand("self"), writers, combiner,
                  node.bool_arg("include_self", true), how == "mean");
  return {};
}

// index_add: slices of `source` along `dim` are added at the positions in the vector `index`.
OpEntry index_add_op() {
  OpEntry entry;
  entry.name = "aten.index_add.default";
  entry.op_class = OpClass::kMove;
  entry.infer = infer_like_self;
  entry.define = [](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const Shape to = lowering.output_type().shape;
    const int index = lowering.operand("index"), source = lowering.operand("source");
    KW_TRY(int64_t d, normalize_dim(node, node.int_arg("dim", 0), to.size()));
    const size_t dim = static_cast<size_t>(d);
    if (to.empty() || lowering.type(index).shape.size() != 1)
      return op_error(node, "wants a vector of positions");
    Writers writers;
    writers.extents = {lowering.type(index).elements()};
    writers.hits =
        binary(ExprOp::kEq, load_of(lowering, index, {axis(static_cast<int>(to.size()))}),
               axis(static_cast<int>(dim)));
    const Expr alpha = number_arg(node, "alpha");
    const bool scaled = alpha && node.float_arg("alpha", 1) != 1;
    writers.source = [&](const std::vector<Expr>& point) {
      std::vector<Expr> at = axes_from(0, to.size());
      at[dim] = point[0];
      Expr value = load_of(lowering, source, std::move(at));
      return scaled ? value * alpha : value;
    };
    define_combined(lowering, lowering.operand("self"), writers, Combiner::kSum, true, false);
    return {};
  };
  return entry;
}

// self[mask] = value, a single one: a choice per element. The mask stands for the dimensions from
// `first` on.
Status define_masked(Lowering& lowering, int mask, size_t first, int values) {
  const Shape to = lowering.output_type().shape, own = lowering.type(mask).shape;
  if (lowering.type(values).elements() != 1)
    return op_error(lowering.node(),
                    "a boolean index takes its values in an order that depends on data");
  if (first + own.size() > to.size()) return op_error(lowering.node(), "the mask does not fit");
  const std::vector<Expr> here = axes_from(0, to.size());
  const Expr chosen = load_of(lowering, mask, axes_from(first, own.size()));
  Expr value =
      load_of(lowering, values, std::vector<Expr>(lowering.type(values).shape.size(), integer(0)));
  Expr rest = load_of(lowering, lowering.operand("self"), here);
  if (lowering.node().bool_arg("accumulate", false)) value = rest + value;
  if (value->kind != rest->kind) value = cast(lowering.output_type().dtype, value);
  lowering.define(0, plain_stage(select(chosen, value, rest)));
  return {};
}

Status define_index_put(Lowering& lowering) {
  const Node& node = lowering.node();
  const int self = lowering.operand("self"), values = lowering.operand("values");
  const Shape to = lowering.output_type().shape;
  const std::vector<int> indices = lowering.operand_list("indices");
  const auto* list = std::get_if<Argument::List>(&node.arg("indices").data);
  std::vector<Shape> shapes;
  for (int t : indices) {
    if (lowering.type(t).dtype != DType::kBool) {
      shapes.push_back(lowering.type(t).shape);
      continue;
    }
    if (indices.size() > 1) return op_error(node, "a boolean index beside others is not supported");
    size_t first = 0;
    while (list && first < list->size() && !(*list)[first].is_value()) ++first;
    return define_masked(lowering, t, first, values);
  }
  KW_TRY(AdvancedIndex index, AdvancedIndex::of(node, to, shapes));
  Writers writers;
  writers.extents = index.common;
  writers.hits = boolean(true);
  size_t next = 0;
  const size_t rank = to.size(), common = index.common.size();
  for (size_t i = 0; i < to.size(); ++i) {
    if (!index.indexed[i]) continue;
    const int t = indices[next++];
    const Shape own = lowering.type(t).shape;
    std::vector<Expr> where;
    for (size_t d = 0; d < own.size(); ++d)
      where.push_back(own[d] == 1 ? integer(0)
                                  : axis(static_cast<int>(rank + common - own.size() + d)));
    const Expr target = wrapped_index(load_of(lowering, t, std::move(where)), to[i]);
    writers.hits =
        binary(ExprOp::kAnd, writers.hits, binary(ExprOp::kEq, target, axis(static_cast<int>(i))));
  }
  writers.source = [&](const std::vector<Expr>& point) {
    // The index in the shape that x[indices] would have; values broadcast to it.
    std::vector<Expr> at;
    for (size_t i = 0; i < rank; ++i)
      if (!index.indexed[i]) at.push_back(axis(static_cast<int>(i)));
    at.insert(at.begin() + static_cast<std::ptrdiff_t>(index.at), point.begin(), point.end());
    const Shape own = lowering.type(values).shape;
    at.erase(at.begin(), at.end() - static_cast<std::ptrdiff_t>(own.size()));
    for (size_t d = 0; d < own.size(); ++d)
      if (own[d] == 1) at[d] = integer(0);
    return load_of(lowering, values, std::move(at));
  };
  if (lowering.type(values).shape.size() > index.result.size())
    return op_error(node, "values do not fit the indices");
  if (node.bool_arg("accumulate", false))
    define_combined(lowering, self, writers, Combiner::kSum, true, false);
  else
    define_assigned(lowering, self, writers);
  return {};
}

}  // namespace

void add_scatter_ops(OpList& ops) {
  ops.push_back(scatter_op("aten.scatter.src", define_scatter));
  ops.push_back(scatter_op("aten.scatter.value", define_scatter));
  ops.push_back(scatter_op("aten.scatter_add.default", define_scatter_add));
  ops.push_back(scatter_op("aten.scatter_reduce.two", define_scatter_reduce));
  ops.push_back(index_add_op());
  for (const char* name : {"aten.index_put.default", "aten._unsafe_index_put.default"}) {
    OpEntry entry;
    entry.name = name;
    entry.op_class = OpClass::kMove;
    entry.infer = infer_like_self;
    entry.define = define_index_put;
    ops.push_back(std::move(entry));
  }
}

}  // namespace kernelwright::graph

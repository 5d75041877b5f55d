// SPDX-License-Identifier: Apache-2.0
// Matrix products: sums of products of two loads.
#include <fmt/format.h>

#include <map>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

// matmul's rule for every rank: vectors become a row or a column, leading dimensions broadcast.
struct Product {
  Shape left, right, batch;
  int64_t rows = 1, columns = 1, inner = 0;
  bool has_rows = true, has_columns = true;

  static Result<Product> of(const Node& node, const Shape& left, const Shape& right) {
    Product p;
    p.left = left;
    p.right = right;
    if (left.empty() || right.empty()) return op_error(node, "product of a scalar");
    p.has_rows = left.size() > 1;
    p.has_columns = right.size() > 1;
    p.inner = left.back();
    const int64_t other = p.has_columns ? right[right.size() - 2] : right[0];
    if (p.inner != other)
      return op_error(
          node, fmt::format("{} and {} do not multiply", shape_text(left), shape_text(right)));
    if (p.has_rows) p.rows = left[left.size() - 2];
    if (p.has_columns) p.columns = right.back();
    KW_TRY(p.batch, broadcast_shapes(
                        node, {p.has_rows ? Shape(left.begin(), left.end() - 2) : Shape{},
                               p.has_columns ? Shape(right.begin(), right.end() - 2) : Shape{}}));
    return p;
  }

  Shape result() const {
    Shape out = batch;
    if (has_rows) out.push_back(rows);
    if (has_columns) out.push_back(columns);
    return out;
  }

  // left[..., i, r] * right[..., r, j]
  Expr body(const Lowering& lowering, int a, int b) const {
    const int rank = static_cast<int>(result().size());
    const Expr r = axis(rank);
    auto leading = [&](const Shape& shape, bool matrix) {
      std::vector<Expr> index;
      const size_t own = matrix ? shape.size() - 2 : 0, skip = batch.size() - own;
      for (size_t i = 0; i < own; ++i)
        index.push_back(shape[i] == 1 ? integer(0) : axis(static_cast<int>(skip + i)));
      return index;
    };
    std::vector<Expr> i = leading(left, has_rows), j = leading(right, has_columns);
    if (has_rows) i.push_back(axis(static_cast<int>(batch.size())));
    i.push_back(r);
    j.push_back(r);
    if (has_columns) j.push_back(axis(rank - 1));
    return load_of(lowering, a, std::move(i)) * load_of(lowering, b, std::move(j));
  }
};

OpEntry product_op(std::string name, const std::string& left, const std::string& right) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kContraction;
  entry.infer = [left, right](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType a, operand_type(graph, node, left));
    KW_TRY(TensorType b, operand_type(graph, node, right));
    KW_TRY(Product product, Product::of(node, a.shape, b.shape));
    return one_type(promote(a.dtype, b.dtype), product.result());
  };
  entry.define = [left, right](Lowering& lowering) -> Status {
    const int a = lowering.operand(left), b = lowering.operand(right);
    KW_TRY(Product product,
           Product::of(lowering.node(), lowering.type(a).shape, lowering.type(b).shape));
    lowering.define(0, reduce_stage(Combiner::kSum, {product.inner}, product.body(lowering, a, b)));
    return {};
  };
  return entry;
}

// beta * self + alpha * (left @ right); self is not read when beta is 0.
OpEntry added_product_op(std::string name, const std::string& left, const std::string& right) {
  OpEntry entry = product_op(std::move(name), left, right);
  entry.define = [left, right](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int a = lowering.operand(left), b = lowering.operand(right);
    KW_TRY(Product product, Product::of(node, lowering.type(a).shape, lowering.type(b).shape));
    Expr body = product.body(lowering, a, b);
    Expr finish = reduced(body->kind), beta = number_arg(node, "beta"),
         alpha = number_arg(node, "alpha");
    if (alpha && node.float_arg("alpha", 1) != 1) finish = alpha * finish;
    Expr added = lowering.broadcast_load(lowering.operand("self"), product.result());
    if (beta && node.float_arg("beta", 1) != 1) added = beta * added;
    if (node.float_arg("beta", 1) != 0) finish = finish + added;
    lowering.define(
        0, reduce_stage(Combiner::kSum, {product.inner}, std::move(body), std::move(finish)));
    return {};
  };
  return entry;
}

// input @ weight^T + bias, weight as [out, in].
OpEntry linear_op() {
  OpEntry entry;
  entry.name = "aten.linear.default";
  entry.op_class = OpClass::kContraction;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType input, operand_type(graph, node, "input"));
    KW_TRY(TensorType weight, operand_type(graph, node, "weight"));
    if (input.shape.empty() || weight.shape.empty() || input.shape.back() != weight.shape.back())
      return op_error(node, fmt::format("{} does not multiply with weight {}",
                                        shape_text(input.shape), shape_text(weight.shape)));
    Shape out = input.shape;
    out.pop_back();
    if (weight.shape.size() == 2) out.push_back(weight.shape[0]);
    return one_type(input.dtype, out);
  };
  entry.define = [](Lowering& lowering) -> Status {
    const int input = lowering.operand("input"), weight = lowering.operand("weight"),
              bias = lowering.operand("bias");
    const Shape out = lowering.output_type().shape;
    const bool matrix = lowering.type(weight).shape.size() == 2;
    const Expr r = axis(static_cast<int>(out.size()));
    std::vector<Expr> i = axes_from(0, out.size()), j;
    if (matrix) {
      j.push_back(i.back());
      i.pop_back();
    }
    i.push_back(r);
    j.push_back(r);
    const int64_t inner = lowering.type(weight).shape.back();
    Expr body = load_of(lowering, input, std::move(i)) * load_of(lowering, weight, std::move(j));
    Expr finish = bias < 0 ? nullptr : reduced(body->kind) + lowering.broadcast_load(bias, out);
    lowering.define(0, reduce_stage(Combiner::kSum, {inner}, std::move(body), std::move(finish)));
    return {};
  };
  return entry;
}

// An einsum equation: per operand and for the result the label of every dimension. Dimensions under
// "..." get labels of their own, aligned at the right.
struct Equation {
  std::vector<std::vector<int>> operands;
  std::vector<int> result;
  std::map<int, int64_t> extents;

  static constexpr int kEllipsis =
      256;  // label of the ellipsis' last dimension is kEllipsis, the one before +1

  static Result<Equation> of(const Node& node, const std::vector<Shape>& shapes) {
    const auto* given = std::get_if<std::string>(&node.arg("equation").data);
    if (!given) return op_error(node, "equation must be a string");
    std::string text;
    for (char c : *given)
      if (c != ' ') text += c;
    const size_t arrow = text.find("->");
    const std::string inputs = text.substr(0, arrow);
    Equation out;
    size_t start = 0, longest = 0;
    for (size_t i = 0; i < shapes.size(); ++i) {
      if (start > inputs.size()) return op_error(node, "more operands than the equation names");
      size_t comma = std::min(inputs.find(',', start), inputs.size());
      size_t ellipsis = 0;
      KW_TRY(std::vector<int> labels,
             labels_of(node, inputs.substr(start, comma - start), shapes[i].size(), ellipsis));
      longest = std::max(longest, ellipsis);
      for (size_t d = 0; d < labels.size(); ++d) {
        int64_t& extent = out.extents.emplace(labels[d], 1).first->second;
        if (shapes[i][d] != 1 && extent != 1 && shapes[i][d] != extent)
          return op_error(node, "extents of one label differ");
        extent = std::max(extent, shapes[i][d]);
      }
      out.operands.push_back(std::move(labels));
      start = comma + 1;
    }
    if (arrow != std::string::npos) {
      const std::string right = text.substr(arrow + 2);
      size_t ellipsis = 0, letters = 0;
      for (char c : right) letters += c != '.';
      const size_t rank = letters + (right.find("...") != std::string::npos ? longest : 0);
      KW_TRY(out.result, labels_of(node, right, rank, ellipsis));
    } else {
      // Labels that stand once, in order, after the ellipsis.
      for (size_t i = longest; i-- > 0;) out.result.push_back(kEllipsis + static_cast<int>(i));
      for (int letter = 0; letter < kEllipsis; ++letter) {
        int count = 0;
        for (const auto& labels : out.operands)
          for (int label : labels) count += label == letter;
        if (count == 1) out.result.push_back(letter);
      }
    }
    for (int label : out.result)
      if (!out.extents.contains(label))
        return op_error(node, "a label of the result stands in no operand");
    return out;
  }

  static Result<std::vector<int>> labels_of(const Node& node, const std::string& text, size_t rank,
                                            size_t& ellipsis) {
    std::vector<int> out;
    size_t letters = 0;
    for (char c : text) letters += c != '.';
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '.') {
        out.push_back(static_cast<unsigned char>(text[i]));
        continue;
      }
      if (text.compare(i, 3, "...") != 0 || letters > rank)
        return op_error(node, "equation does not fit its operands");
      ellipsis = rank - letters;
      for (size_t k = ellipsis; k-- > 0;) out.push_back(kEllipsis + static_cast<int>(k));
      i += 2;
    }
    if (out.size() != rank) return op_error(node, "equation does not fit its operands");
    return out;
  }
};

OpEntry einsum_op() {
  OpEntry entry;
  entry.name = "aten.einsum.default";
  entry.op_class = OpClass::kContraction;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    std::vector<Shape> shapes;
    DType dtype = DType::kBool;
    for (int id : node.value_list_arg("tensors")) {
      shapes.push_back(graph.value(id).type.shape);
      dtype = promote(dtype, graph.value(id).type.dtype);
    }
    KW_TRY(Equation equation, Equation::of(node, shapes));
    Shape out;
    for (int label : equation.result) out.push_back(equation.extents[label]);
    return one_type(dtype, out);
  };
  entry.define = [](Lowering& lowering) -> Status {
    const auto tensors = lowering.operand_list("tensors");
    std::vector<Shape> shapes;
    for (int t : tensors) shapes.push_back(lowering.type(t).shape);
    KW_TRY(Equation equation, Equation::of(lowering.node(), shapes));
    std::map<int, Expr> axes;
    for (int label : equation.result) axes.emplace(label, axis(static_cast<int>(axes.size())));
    std::vector<int64_t> reduce;
    for (const auto& [label, extent] : equation.extents)
      if (!axes.contains(label)) {
        axes.emplace(label, axis(static_cast<int>(axes.size())));
        reduce.push_back(extent);
      }
    Expr body;
    for (size_t i = 0; i < tensors.size(); ++i) {
      std::vector<Expr> index;
      for (size_t d = 0; d < shapes[i].size(); ++d)
        index.push_back(shapes[i][d] == 1 ? integer(0) : axes[equation.operands[i][d]]);
      Expr value = load_of(lowering, tensors[i], std::move(index));
      body = body ? body * value : value;
    }
    if (!body) return op_error(lowering.node(), "no operands");
    lowering.define(
        0, reduce.empty() ? plain_stage(body) : reduce_stage(Combiner::kSum, reduce, body));
    return {};
  };
  return entry;
}

// beta * self + alpha * the sum over the batch of products.
OpEntry summed_product_op() {
  OpEntry entry;
  entry.name = "aten.addbmm.default";
  entry.op_class = OpClass::kContraction;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType a, operand_type(graph, node, "batch1"));
    KW_TRY(TensorType b, operand_type(graph, node, "batch2"));
    if (a.shape.size() != 3 || b.shape.size() != 3 || a.shape[0] != b.shape[0] ||
        a.shape[2] != b.shape[1])
      return op_error(node, "batches do not multiply");
    return one_type(promote(a.dtype, b.dtype), {a.shape[1], b.shape[2]});
  };
  entry.define = [](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int a = lowering.operand("batch1"), b = lowering.operand("batch2");
    const Shape left = lowering.type(a).shape;
    const Expr body = load_of(lowering, a, {axis(2), axis(0), axis(3)}) *
                      load_of(lowering, b, {axis(2), axis(3), axis(1)});
    Expr finish = reduced(body->kind);
    if (node.float_arg("alpha", 1) != 1) finish = number_arg(node, "alpha") * finish;
    Expr added = lowering.broadcast_load(lowering.operand("self"), lowering.output_type().shape);
    if (node.float_arg("beta", 1) != 1) added = number_arg(node, "beta") * added;
    if (node.float_arg("beta", 1) != 0) finish = finish + added;
    lowering.define(0, reduce_stage(Combiner::kSum, {left[0], left[2]}, body, finish));
    return {};
  };
  return entry;
}

// input1^T weight[o] input2 + bias[o] over the last dimensions.
OpEntry bilinear_op() {
  OpEntry entry;
  entry.name = "aten.bilinear.default";
  entry.op_class = OpClass::kContraction;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType a, operand_type(graph, node, "input1"));
    KW_TRY(TensorType b, operand_type(graph, node, "input2"));
    KW_TRY(TensorType weight, operand_type(graph, node, "weight"));
    if (a.shape.empty() || a.shape.size() != b.shape.size() || weight.shape.size() != 3 ||
        !std::equal(a.shape.begin(), a.shape.end() - 1, b.shape.begin()) ||
        weight.shape[1] != a.shape.back() || weight.shape[2] != b.shape.back())
      return op_error(node, "inputs do not fit the weight");
    a.shape.back() = weight.shape[0];
    return one_type(a.dtype, a.shape);
  };
  entry.define = [](Lowering& lowering) -> Status {
    const int a = lowering.operand("input1"), b = lowering.operand("input2"),
              weight = lowering.operand("weight"), bias = lowering.operand("bias");
    const Shape w = lowering.type(weight).shape, out = lowering.output_type().shape;
    const int rank = static_cast<int>(out.size());
    std::vector<Expr> i = axes_from(0, out.size()), j = i;
    i.back() = axis(rank);
    j.back() = axis(rank + 1);
    const Expr body = load_of(lowering, a, i) *
                      load_of(lowering, weight, {axis(rank - 1), axis(rank), axis(rank + 1)}) *
                      load_of(lowering, b, j);
    const Expr finish =
        bias < 0 ? nullptr : reduced(body->kind) + lowering.broadcast_load(bias, out);
    lowering.define(0, reduce_stage(Combiner::kSum, {w[1], w[2]}, body, finish));
    return {};
  };
  return entry;
}

}  // namespace

void add_contraction_ops(OpList& ops) {
  for (const char* name : {"aten.mm.default", "aten.bmm.default"})
    ops.push_back(product_op(name, "self", "mat2"));
  ops.push_back(product_op("aten.matmul.default", "self", "other"));
  ops.push_back(product_op("aten.mv.default", "self", "vec"));
  ops.push_back(product_op("aten.dot.default", "self", "tensor"));
  ops.push_back(added_product_op("aten.addmm.default", "mat1", "mat2"));
  ops.push_back(added_product_op("aten.baddbmm.default", "batch1", "batch2"));
  ops.push_back(added_product_op("aten.addmv.default", "mat", "vec"));
  ops.push_back(summed_product_op());
  ops.push_back(bilinear_op());
  ops.push_back(linear_op());
  ops.push_back(einsum_op());
}

}  // namespace kernelwright::graph

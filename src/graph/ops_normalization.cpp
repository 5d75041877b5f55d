// SPDX-License-Identifier: Apache-2.0
// Norms: a mean stage, a stage for the mean of squared deviations (two passes), a pointwise stage.
#include <fmt/format.h>

#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

using Types = std::vector<TensorType>;

// Where statistics live: a tensor of shape `rows`, the extents a row is reduced over, where element
// (row, reduction axes) of the operand is, and the row of an operand position.
struct Rows {
  Shape rows;
  std::vector<int64_t> reduce;
  std::vector<Expr> element;
  std::vector<Expr> row_of_position;
};

struct Statistics {
  int mean = -1, variance = -1;
};

Expr quotient(Expr value, int64_t count) {
  return binary(ExprOp::kDiv, std::move(value), constant(static_cast<double>(count)));
}

Statistics statistics(Lowering& lowering, int input, const Rows& rows) {
  const DType dtype = accumulate_dtype(lowering.type(input).dtype);
  const int64_t count = element_count(rows.reduce);
  Expr value = load_of(lowering, input, rows.element), acc = reduced(ScalarKind::kReal);
  Statistics out;
  out.mean = lowering.define_temporary(
      {dtype, rows.rows, {}},
      reduce_stage(Combiner::kSum, rows.reduce, value, quotient(acc, count)));
  Expr deviation = value - load_of(lowering, out.mean, axes_from(0, rows.rows.size()));
  out.variance = lowering.define_temporary(
      {dtype, rows.rows, {}},
      reduce_stage(Combiner::kSum, rows.reduce, deviation * deviation, quotient(acc, count)));
  return out;
}

// (x - mean) / sqrt(variance + eps) * weight + bias at a position of the operand; weight and bias
// may be null.
Expr normalized(Lowering& lowering, Expr value, Expr mean, Expr variance, double eps, Expr weight,
                Expr bias) {
  Expr out = (std::move(value) - std::move(mean)) *
             unary(ExprOp::kRsqrt, std::move(variance) + constant(eps));
  if (weight) out = out * std::move(weight);
  if (bias) out = out + std::move(bias);
  return out;
}

Expr optional_load(Lowering& lowering, const char* name, std::vector<Expr> index) {
  const int tensor = lowering.operand(name);
  return tensor < 0 ? nullptr : load_of(lowering, tensor, std::move(index));
}

// Rows of the trailing `trailing` dimensions.
Rows trailing_rows(const Shape& shape, size_t trailing) {
  Rows out;
  const size_t lead = shape.size() - trailing;
  out.rows.assign(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(lead));
  out.reduce.assign(shape.begin() + static_cast<std::ptrdiff_t>(lead), shape.end());
  out.element = axes_from(0, shape.size());
  out.row_of_position = axes_from(0, lead);
  return out;
}

// Layer norm; the native form also hands back mean and reciprocal deviation, with trailing ones.
OpEntry layer_norm_op(std::string name, bool native) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kNormalization;
  entry.infer = [native](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType input, operand_type(graph, node, "input"));
    const Shape normalized_shape = node.int_list_arg("normalized_shape");
    if (normalized_shape.empty() || normalized_shape.size() > input.shape.size() ||
        !std::equal(normalized_shape.rbegin(), normalized_shape.rend(), input.shape.rbegin()))
      return op_error(node, "normalized_shape is not the end of the input's shape");
    Types out = {input};
    if (native) {
      Shape rows = input.shape;
      for (size_t i = rows.size() - normalized_shape.size(); i < rows.size(); ++i) rows[i] = 1;
      out.push_back({accumulate_dtype(input.dtype), rows, {}});
      out.push_back(out.back());
    }
    return out;
  };
  entry.define = [native](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int input = lowering.operand("input");
    const Shape shape = lowering.type(input).shape;
    const size_t trailing = node.int_list_arg("normalized_shape").size();
    const Rows rows = trailing_rows(shape, trailing);
    const Statistics stats = statistics(lowering, input, rows);
    const double eps = node.float_arg("eps", 1e-5);
    const auto affine = axes_from(shape.size() - trailing, trailing);
    lowering.define(
        0, plain_stage(normalized(lowering, load_of(lowering, input, axes_from(0, shape.size())),
                                  load_of(lowering, stats.mean, rows.row_of_position),
                                  load_of(lowering, stats.variance, rows.row_of_position), eps,
                                  optional_load(lowering, "weight", affine),
                                  optional_load(lowering, "bias", affine))));
    if (native) {
      lowering.define(1, plain_stage(load_of(lowering, stats.mean, rows.row_of_position)));
      lowering.define(2, plain_stage(unary(ExprOp::kRsqrt,
                                           load_of(lowering, stats.variance, rows.row_of_position) +
                                               constant(eps))));
    }
    return {};
  };
  return entry;
}

OpEntry rms_norm_op() {
  OpEntry entry = layer_norm_op("aten.rms_norm.default", false);
  entry.define = [](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int input = lowering.operand("input");
    const TensorType type = lowering.type(input);
    const size_t trailing = node.int_list_arg("normalized_shape").size();
    const Rows rows = trailing_rows(type.shape, trailing);
    Expr value = load_of(lowering, input, rows.element);
    // PyTorch's default eps is the machine epsilon of the dtype, twice the unit roundoff.
    const DType accumulate = accumulate_dtype(type.dtype);
    const double eps = node.float_arg("eps", 2 * unit_roundoff(accumulate));
    const int mean_square = lowering.define_temporary(
        {accumulate, rows.rows, {}},
        reduce_stage(Combiner::kSum, rows.reduce, value * value,
                     quotient(reduced(ScalarKind::kReal), element_count(rows.reduce))));
    Expr body = value * unary(ExprOp::kRsqrt,
                              load_of(lowering, mean_square, rows.row_of_position) + constant(eps));
    if (Expr weight =
            optional_load(lowering, "weight", axes_from(type.shape.size() - trailing, trailing)))
      body = body * weight;
    lowering.define(0, plain_stage(std::move(body)));
    return {};
  };
  return entry;
}

// Group norm: rows are (batch, group), reduced over the group's channels and all positions. The
// native form names its dimensions N, C and HxW and hands back mean and reciprocal deviation.
OpEntry group_norm_op(std::string name, bool native) {
  OpEntry entry;
  entry.name = std::move(name);
  entry.op_class = OpClass::kNormalization;
  entry.infer = [native](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType input, operand_type(graph, node, "input"));
    const int64_t groups = node.int_arg(native ? "group" : "num_groups", 1);
    if (input.shape.size() < 2 || groups < 1 || input.shape[1] % groups != 0)
      return op_error(node, "groups do not divide the channels");
    Types out = {input};
    if (native) {
      out.push_back({accumulate_dtype(input.dtype), {input.shape[0], groups}, {}});
      out.push_back(out.back());
    }
    return out;
  };
  entry.define = [native](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    const int input = lowering.operand("input");
    const Shape shape = lowering.type(input).shape;
    const int64_t groups = node.int_arg(native ? "group" : "num_groups", 1),
                  size = shape[1] / groups;
    Rows rows;
    rows.rows = {shape[0], groups};
    rows.reduce = {size};
    rows.reduce.insert(rows.reduce.end(), shape.begin() + 2, shape.end());
    rows.element = {axis(0), axis(1) * integer(size) + axis(2)};
    for (size_t i = 2; i < shape.size(); ++i) rows.element.push_back(axis(static_cast<int>(i) + 1));
    rows.row_of_position = {axis(0), binary(ExprOp::kFloorDiv, axis(1), integer(size))};
    const Statistics stats = statistics(lowering, input, rows);
    const double eps = node.float_arg("eps", 1e-5);
    lowering.define(
        0, plain_stage(normalized(lowering, load_of(lowering, input, axes_from(0, shape.size())),
                                  load_of(lowering, stats.mean, rows.row_of_position),
                                  load_of(lowering, stats.variance, rows.row_of_position), eps,
                                  optional_load(lowering, "weight", {axis(1)}),
                                  optional_load(lowering, "bias", {axis(1)}))));
    if (native) {
      lowering.define(1, plain_stage(load_of(lowering, stats.mean, axes_from(0, 2))));
      lowering.define(
          2, plain_stage(unary(ExprOp::kRsqrt, load_of(lowering, stats.variance, axes_from(0, 2)) +
                                                   constant(eps))));
    }
    return {};
  };
  return entry;
}

// Rows of one channel over the batch, or over one sample (instance norm).
Rows channel_rows(const Shape& shape, bool per_sample) {
  Rows out;
  const int lead = per_sample ? 2 : 1;
  if (per_sample)
    out.rows = {shape[0], shape[1]};
  else
    out.rows = {shape[1]};
  if (!per_sample) out.reduce.push_back(shape[0]);
  out.reduce.insert(out.reduce.end(), shape.begin() + 2, shape.end());
  out.element =
      per_sample ? std::vector<Expr>{axis(0), axis(1)} : std::vector<Expr>{axis(1), axis(0)};
  for (size_t i = 2; i < shape.size(); ++i)
    out.element.push_back(axis(static_cast<int>(i) - 2 + (per_sample ? lead : 2)));
  out.row_of_position = per_sample ? axes_from(0, 2) : std::vector<Expr>{axis(1)};
  return out;
}

// How the overloads of batch norm differ.
struct BatchNormForm {
  const char* name;
  bool always_training, never_training;
  int saved;        // outputs of saved statistics after the result
  bool functional;  // also hands back the new running statistics
  bool running;     // has running statistics
};

Status define_batch_norm(Lowering& lowering, const BatchNormForm& form) {
  const Node& node = lowering.node();
  const int input = lowering.operand("input");
  const TensorType type = lowering.type(input);
  const size_t rank = type.shape.size();
  const double eps = node.float_arg("eps", 1e-5), momentum = node.float_arg("momentum", 0.1);
  const bool training =
      form.always_training || (!form.never_training && node.bool_arg("training", false));
  const Expr channel = axis(1);
  Expr mean, variance, saved_mean, saved_variance;
  Rows rows = channel_rows(type.shape, false);
  const int running_mean = form.running ? lowering.operand("running_mean") : -1;
  const int running_variance = form.running ? lowering.operand("running_var") : -1;
  if (training || running_mean < 0) {
    const Statistics stats = statistics(lowering, input, rows);
    mean = load_of(lowering, stats.mean, {channel});
    variance = load_of(lowering, stats.variance, {channel});
    saved_mean = load_of(lowering, stats.mean, {axis(0)});
    saved_variance = load_of(lowering, stats.variance, {axis(0)});
  } else {
    mean = load_of(lowering, running_mean, {channel});
    variance = load_of(lowering, running_variance, {channel});
  }
  lowering.define(
      0, plain_stage(normalized(lowering, load_of(lowering, input, axes_from(0, rank)), mean,
                                variance, eps, optional_load(lowering, "weight", {channel}),
                                optional_load(lowering, "bias", {channel}))));
  if (form.saved == 2 && saved_mean) {
    lowering.define(1, plain_stage(saved_mean));
    lowering.define(2, plain_stage(unary(ExprOp::kRsqrt, saved_variance + constant(eps))));
  } else if (form.saved == 2) {
    for (int i = 1; i <= 2; ++i) lowering.define(i, plain_stage(constant(0)));  // no elements
  }
  if (form.functional && saved_mean) {
    // The running variance keeps the unbiased estimate.
    const double count = static_cast<double>(element_count(rows.reduce));
    auto blend = [&](int running, const Expr& fresh) {
      return load_of(lowering, running, {axis(0)}) * constant(1 - momentum) +
             fresh * constant(momentum);
    };
    lowering.define(3, plain_stage(blend(running_mean, saved_mean)));
    lowering.define(
        4, plain_stage(blend(running_variance,
                             saved_variance * constant(count / std::max(count - 1, 1.0)))));
  }
  return {};
}

OpEntry batch_norm_op(const BatchNormForm& form) {
  OpEntry entry;
  entry.name = form.name;
  entry.op_class = OpClass::kNormalization;
  entry.infer = [form](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType input, operand_type(graph, node, "input"));
    if (input.shape.size() < 2) return op_error(node, "wants a batch of channels");
    const bool training =
        form.always_training || (!form.never_training && node.bool_arg("training", false));
    if (std::string_view(form.name) == "aten.batch_norm.default" && training &&
        node.value_arg("running_mean"))
      return op_error(node, "updates running statistics in place, which the graph does not show");
    if (form.functional && !node.value_arg("running_mean"))
      return op_error(node, "wants running statistics");
    Types out = {input};
    const DType dtype = accumulate_dtype(input.dtype);
    for (int i = 0; i < form.saved; ++i)
      out.push_back({dtype, {training ? input.shape[1] : 0}, {}});
    if (form.functional)
      for (const char* name : {"running_mean", "running_var"}) {
        KW_TRY(TensorType running, operand_type(graph, node, name));
        out.push_back(running);
      }
    return out;
  };
  entry.define = [form](Lowering& lowering) { return define_batch_norm(lowering, form); };
  return entry;
}

OpEntry instance_norm_op() {
  OpEntry entry;
  entry.name = "aten.instance_norm.default";
  entry.op_class = OpClass::kNormalization;
  entry.infer = [](const Graph& graph, const Node& node) -> Result<Types> {
    KW_TRY(TensorType input, operand_type(graph, node, "input"));
    if (input.shape.size() < 3)
      return op_error(node, "wants a batch of channels and 1 to 3 dimensions");
    if (node.bool_arg("use_input_stats", true) && node.value_arg("running_mean"))
      return op_error(node, "updates running statistics in place, which the graph does not show");
    return Types{input};
  };
  entry.define = [](Lowering& lowering) -> Status {
    const Node& node = lowering.node();
    if (!node.bool_arg("use_input_stats", true))
      return define_batch_norm(lowering, {"", false, true, 0, false, true});
    const int input = lowering.operand("input");
    const Shape shape = lowering.type(input).shape;
    const Rows rows = channel_rows(shape, true);
    const Statistics stats = statistics(lowering, input, rows);
    lowering.define(
        0, plain_stage(normalized(lowering, load_of(lowering, input, axes_from(0, shape.size())),
                                  load_of(lowering, stats.mean, rows.row_of_position),
                                  load_of(lowering, stats.variance, rows.row_of_position),
                                  node.float_arg("eps", 1e-5),
                                  optional_load(lowering, "weight", {axis(1)}),
                                  optional_load(lowering, "bias", {axis(1)}))));
    return {};
  };
  return entry;
}

}  // namespace

void add_normalization_ops(OpList& ops) {
  ops.push_back(layer_norm_op("aten.layer_norm.default", false));
  ops.push_back(layer_norm_op("aten.native_layer_norm.default", true));
  ops.push_back(rms_norm_op());
  ops.push_back(group_norm_op("aten.group_norm.default", false));
  ops.push_back(group_norm_op("aten.native_group_norm.default", true));
  ops.push_back(instance_norm_op());
  for (const BatchNormForm& form : {
           BatchNormForm{"aten.batch_norm.default", false, false, 0, false, true},
           BatchNormForm{"aten._native_batch_norm_legit_no_training.default", false, true, 2, false,
                         true},
           BatchNormForm{"aten._native_batch_norm_legit_functional.default", false, false, 2, true,
                         true},
           BatchNormForm{"aten._native_batch_norm_legit.no_stats", true, false, 2, false, false},
       })
    ops.push_back(batch_norm_op(form));
}

}  // namespace kernelwright::graph

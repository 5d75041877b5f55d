// SPDX-License-Identifier: Apache-2.0
#include "support/chain.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <random>
#include <sstream>
#include <stdexcept>

namespace kernelwright::testing {

using graph::axis;
using graph::Combiner;
using graph::constant;
using graph::DType;
using graph::Expr;
using graph::ExprOp;
using graph::HostTensor;
using graph::integer;
using graph::reduced;
using graph::ScalarKind;
using graph::Shape;
using graph::StageGraph;
using graph::TensorRole;

namespace {

// A stage graph by hand.
struct Parts {
  StageGraph graph;
  int weights = 0;

  int tensor(Shape shape, DType dtype, TensorRole role) {
    graph::StageTensor made;
    made.name = fmt::format("t{}", graph.tensors.size());
    made.type.dtype = dtype;
    made.type.shape = std::move(shape);
    made.role = role;
    if (role == TensorRole::kInput) made.index = 0;
    if (role == TensorRole::kWeight) made.weight_name = fmt::format("weight{}", weights++);
    return graph.add_tensor(std::move(made));
  }
  int input(Shape shape, DType dtype) {
    return tensor(std::move(shape), dtype, TensorRole::kInput);
  }
  int weight(Shape shape, DType dtype) {
    return tensor(std::move(shape), dtype, TensorRole::kWeight);
  }
  int temporary(Shape shape, DType dtype) {
    return tensor(std::move(shape), dtype, TensorRole::kTemporary);
  }
  void define(int made, Expr body) { reduce(made, Combiner::kNone, {}, std::move(body), nullptr); }
  void reduce(int made, Combiner combiner, std::vector<int64_t> extents, Expr body, Expr finish) {
    graph::Stage stage;
    stage.output = made;
    stage.reduce = std::move(extents);
    stage.combiner = combiner;
    stage.body = std::move(body);
    stage.finish = std::move(finish);
    graph.stages.push_back(std::move(stage));
  }
};

class Chain {
 public:
  explicit Chain(DType dtype) : dtype_(dtype) {}

  void line(const std::string& text) {
    std::istringstream words(text);
    std::string op;
    words >> op;
    std::vector<std::string> args;
    for (std::string word; words >> word;) args.push_back(word);
    const auto whole = [&](size_t i) { return static_cast<int64_t>(std::stoll(args.at(i))); };
    const auto real = [&](size_t i) { return std::stod(args.at(i)); };
    if (op == "input") {
      std::istringstream extents(args.at(0));
      Shape shape;
      for (std::string extent; std::getline(extents, extent, 'x');)
        shape.push_back(std::stoll(extent));
      now_ = stages_.input(shape, dtype_);
    } else if (op == "linear" || op == "matmul") {
      linear(whole(0), op == "linear");
    } else if (op == "conv") {
      conv(whole(0), whole(1), args.size() > 2 ? whole(2) : 0);
    } else if (op == "norm") {
      norm();
    } else if (op == "scale") {
      point(here() * channel(weight()));
    } else if (op == "shift") {
      point(here() + channel(weight()));
    } else if (op == "times") {
      point(here() * constant(real(0)));
    } else if (op == "plus") {
      point(here() + constant(real(0)));
    } else if (op == "sum" || op == "mean" || op == "max" || op == "min") {
      over(op, whole(0));
    } else if (op == "mean_rest") {
      mean_rest();
    } else if (op == "avg_pool" || op == "max_pool") {
      pool(op == "avg_pool", whole(0), whole(1));
    } else if (op == "clamp") {
      point(graph::binary(ExprOp::kMin, graph::binary(ExprOp::kMax, here(), constant(real(0))),
                          constant(real(1))));
    } else if (op == "relu") {
      point(graph::binary(ExprOp::kMax, here(), constant(0)));
    } else if (op == "neg") {
      point(graph::unary(ExprOp::kNeg, here()));
    } else if (op == "exp") {
      point(graph::unary(ExprOp::kExp, here()));
    } else if (op == "copy") {
      point(here());
    } else if (op == "twice") {
      twice();
    } else {
      throw std::invalid_argument("unknown op: " + text);
    }
  }

  StageGraph take() {
    auto& tensor = stages_.graph.tensors[static_cast<size_t>(now_)];
    tensor.role = TensorRole::kOutput;
    tensor.index = 0;
    return std::move(stages_.graph);
  }

 private:
  const Shape& shape() const { return stages_.graph.tensors[static_cast<size_t>(now_)].type.shape; }
  int rank() const { return static_cast<int>(shape().size()); }
  Expr load(int tensor, std::vector<Expr> index) const {
    return graph::load(tensor, ScalarKind::kReal, std::move(index));
  }
  std::vector<Expr> axes() const {
    std::vector<Expr> all;
    for (int a = 0; a < rank(); ++a) all.push_back(axis(a));
    return all;
  }
  Expr here() const { return load(now_, axes()); }
  int weight() { return stages_.weight({shape().at(1)}, dtype_); }
  Expr channel(int tensor) const { return load(tensor, {axis(1)}); }

  void point(Expr body) {
    const int made = stages_.temporary(shape(), dtype_);
    stages_.define(made, std::move(body));
    name(made);
  }
  void reduction(Shape result, Combiner combiner, std::vector<int64_t> extents, Expr body,
                 Expr finish = nullptr) {
    const int made = stages_.temporary(std::move(result), dtype_);
    stages_.reduce(made, combiner, std::move(extents), std::move(body), std::move(finish));
    name(made);
  }
  void name(int made) {
    stages_.graph.stages.back().origin = fmt::format("op{}", ops_++);
    now_ = made;
  }

  void linear(int64_t features, bool bias) {
    Shape result = shape();
    const int64_t inner = result.back();
    result.back() = features;
    const int w = stages_.weight({features, inner}, dtype_);
    const int last = rank() - 1;
    std::vector<Expr> index = axes();
    index.back() = axis(rank());
    Expr finish;
    if (bias)
      finish = reduced(ScalarKind::kReal) + load(stages_.weight({features}, dtype_), {axis(last)});
    reduction(result, Combiner::kSum, {inner},
              load(now_, index) * load(w, {axis(last), axis(last + 1)}), finish);
  }

  void conv(int64_t channels, int64_t kernel, int64_t pad) {
    Shape result = shape();
    const int dims = rank() - 2;
    std::vector<int64_t> reduce = {result[1]};
    Shape weights = {channels, result[1]};
    std::vector<Expr> index = {axis(0), axis(rank())}, at = {axis(1), axis(rank())};
    Expr inside = graph::boolean(true);
    for (int d = 0; d < dims; ++d) {
      const int64_t extent = result[static_cast<size_t>(d) + 2];
      result[static_cast<size_t>(d) + 2] = extent + 2 * pad - kernel + 1;
      reduce.push_back(kernel);
      weights.push_back(kernel);
      at.push_back(axis(rank() + 1 + d));
      index.push_back(axis(2 + d) + axis(rank() + 1 + d) - integer(pad));
      if (pad > 0)
        inside = graph::binary(
            ExprOp::kAnd, inside,
            graph::binary(ExprOp::kAnd, graph::binary(ExprOp::kGe, index.back(), integer(0)),
                          graph::binary(ExprOp::kLt, index.back(), integer(extent))));
    }
    result[1] = channels;
    const int w = stages_.weight(weights, dtype_), b = stages_.weight({channels}, dtype_);
    reduction(result, Combiner::kSum, reduce,
              graph::select(inside, load(now_, index), constant(0)) * load(w, at),
              reduced(ScalarKind::kReal) + load(b, {axis(1)}));
  }

  void norm() {
    const Expr mean = channel(weight());
    const int variance = weight();
    stages_.graph.tensors[static_cast<size_t>(variance)].name = "variance";
    const Expr spread = graph::unary(ExprOp::kRsqrt, channel(variance) + constant(1e-5));
    const Expr gain = channel(weight()), bias = channel(weight());
    point((here() - mean) * spread * gain + bias);
  }

  void over(const std::string& op, int64_t dim) {
    const auto d = static_cast<size_t>(dim);
    Shape result = shape();
    const int64_t extent = result.at(d);
    result[d] = 1;
    std::vector<Expr> index = axes();
    index[d] = axis(rank());
    const Combiner combiner = op == "max"   ? Combiner::kMax
                              : op == "min" ? Combiner::kMin
                                            : Combiner::kSum;
    Expr finish;
    if (op == "mean")
      finish = graph::binary(ExprOp::kDiv, reduced(ScalarKind::kReal),
                             constant(static_cast<double>(extent)));
    reduction(result, combiner, {extent}, load(now_, index), finish);
  }

  void mean_rest() {
    Shape result = shape();
    std::vector<Expr> index = axes();
    std::vector<int64_t> extents;
    for (size_t d = 2; d < result.size(); ++d) {
      extents.push_back(result[d]);
      index[d] = axis(rank() + static_cast<int>(d) - 2);
      result[d] = 1;
    }
    const auto count = static_cast<double>(graph::element_count(extents));
    reduction(result, Combiner::kSum, extents, load(now_, index),
              graph::binary(ExprOp::kDiv, reduced(ScalarKind::kReal), constant(count)));
  }

  void pool(bool average, int64_t kernel, int64_t stride) {
    Shape result = shape();
    std::vector<Expr> index = axes();
    std::vector<int64_t> extents;
    for (size_t d = 2; d < result.size(); ++d) {
      extents.push_back(kernel);
      index[d] =
          axis(static_cast<int>(d)) * integer(stride) + axis(rank() + static_cast<int>(d) - 2);
      result[d] = (result[d] - kernel) / stride + 1;
    }
    const auto count = static_cast<double>(graph::element_count(extents));
    Expr finish;
    if (average) finish = graph::binary(ExprOp::kDiv, reduced(ScalarKind::kReal), constant(count));
    reduction(result, average ? Combiner::kSum : Combiner::kMax, extents, load(now_, index),
              finish);
  }

  void twice() {
    const int before = now_;
    point(graph::unary(ExprOp::kExp, here()));
    const int first = now_;
    now_ = before;
    point(graph::unary(ExprOp::kExp, here()));
    const int second = now_;
    point(load(first, axes()) + load(second, axes()));
  }

  DType dtype_;
  Parts stages_;
  int now_ = -1, ops_ = 0;
};

std::vector<double> outputs(const StageGraph& graph, std::map<int, HostTensor> data,
                            std::string& error) {
  auto results = graph::interpret(graph, std::move(data));
  if (!results) {
    error = results.error().text();
    return {};
  }
  std::vector<double> all;
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    if (graph.tensors[t].role != TensorRole::kOutput) continue;
    all.insert(all.end(), (*results)[t].data.begin(), (*results)[t].data.end());
  }
  return all;
}

}  // namespace

StageGraph chain(const std::string& text, DType dtype) {
  Chain chain(dtype);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) chain.line(line);
  return chain.take();
}

std::map<int, HostTensor> random_data(const StageGraph& graph, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> value(-1, 1);
  std::map<int, HostTensor> data;
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    const auto& tensor = graph.tensors[t];
    if (tensor.role != TensorRole::kInput && tensor.role != TensorRole::kWeight) continue;
    HostTensor& host = data[static_cast<int>(t)];
    host.type = tensor.type;
    for (int64_t i = 0; i < tensor.type.elements(); ++i)
      host.data.push_back(tensor.name == "variance" ? 0.5 + std::abs(value(random))
                                                    : value(random));
  }
  return data;
}

double difference(const StageGraph& a, const StageGraph& b, const std::map<int, HostTensor>& data) {
  std::string error;
  const auto left = outputs(a, data, error), right = outputs(b, data, error);
  if (!error.empty() || left.size() != right.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    if (std::isnan(left[i]) && std::isnan(right[i])) continue;
    if (left[i] == right[i]) continue;
    const double gap = std::abs(left[i] - right[i]) / (1 + std::abs(left[i]));
    worst = std::max(worst, std::isnan(gap) ? std::numeric_limits<double>::infinity() : gap);
  }
  return worst;
}

}  // namespace kernelwright::testing

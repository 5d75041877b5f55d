// SPDX-License-Identifier: Apache-2.0
#include "graph/interpreter.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "graph/scalar_ops.h"

namespace kernelwright::graph {
namespace {

class StageEvaluator {
 public:
  StageEvaluator(const StageGraph& graph, std::vector<HostTensor>& tensors, const Stage& stage,
                 bool round)
      : graph_(graph), tensors_(tensors), stage_(stage), round_(round) {
    extents_ = axis_extents(graph, stage);
    rank_ = extents_.size() - stage.reduce.size();
    axes_.assign(extents_.size(), 0);
  }

  Result<std::vector<double>> run() {
    const TensorType& type = graph_.tensors[static_cast<size_t>(stage_.output)].type;
    std::vector<double> out(static_cast<size_t>(type.elements()));
    for (size_t i = 0; i < out.size(); ++i) {
      double value = stage_.combiner == Combiner::kNone ? number(*stage_.body) : reduce();
      if (stage_.finish) {
        accumulator_ = value;
        value = number(*stage_.finish);
      }
      if (!error_.empty())
        return fail(ErrorKind::kInput, fmt::format("{}: {}", stage_.origin, error_));
      out[i] = round_ ? round_to(type.dtype, value) : value;
      advance(0, rank_);
    }
    return out;
  }

 private:
  // Steps axes [first, last) in row-major order; false after the last point.
  bool advance(size_t first, size_t last) {
    for (size_t i = last; i-- > first;) {
      if (++axes_[i] < extents_[i]) return true;
      axes_[i] = 0;
    }
    return false;
  }

  static bool better(Combiner combiner, double candidate, double best) {
    if (std::isnan(best)) return false;
    if (std::isnan(candidate)) return true;
    return combiner == Combiner::kArgMax ? candidate > best : candidate < best;
  }

  double reduce() {
    const Combiner c = stage_.combiner;
    double acc = c == Combiner::kProd || c == Combiner::kAll ? 1 : 0;
    const double infinity = std::numeric_limits<double>::infinity();
    if (c == Combiner::kMax) acc = -infinity;
    if (c == Combiner::kMin) acc = infinity;
    int64_t best = 0, position = 0;
    for (size_t i = rank_; i < extents_.size(); ++i)
      if (extents_[i] == 0) return acc;
    do {
      const double value = number(*stage_.body);
      switch (c) {
        case Combiner::kNone:
          break;
        case Combiner::kSum:
          acc += value;
          break;
        case Combiner::kProd:
          acc *= value;
          break;
        case Combiner::kMax:
          acc = apply_real(ExprOp::kMax, acc, value);
          break;
        case Combiner::kMin:
          acc = apply_real(ExprOp::kMin, acc, value);
          break;
        case Combiner::kAny:
          acc = acc != 0 || value != 0;
          break;
        case Combiner::kAll:
          acc = acc != 0 && value != 0;
          break;
        case Combiner::kArgMax:
        case Combiner::kArgMin:
          if (position == 0 || better(c, value, acc)) {
            acc = value;
            best = position;
          }
          break;
      }
      ++position;
    } while (error_.empty() && advance(rank_, extents_.size()));
    return c == Combiner::kArgMax || c == Combiner::kArgMin ? static_cast<double>(best) : acc;
  }

  double number(const ExprNode& e) {
    return e.kind == ScalarKind::kReal ? real(e) : static_cast<double>(whole(e));
  }

  double real(const ExprNode& e) {
    if (e.kind != ScalarKind::kReal) return static_cast<double>(whole(e));
    switch (e.op) {
      case ExprOp::kConst:
        return e.real_value;
      case ExprOp::kLoad:
        return element(e);
      case ExprOp::kReduced:
        return accumulator_;
      case ExprOp::kCast: {
        const double value = number(*e.operands[0]);
        return round_ ? round_to(e.dtype, value) : value;
      }
      case ExprOp::kSelect:
        return whole(*e.operands[0]) ? real(*e.operands[1]) : real(*e.operands[2]);
      default:
        break;
    }
    if (is_unary(e.op)) return apply_real(e.op, real(*e.operands[0]));
    return apply_real(e.op, real(*e.operands[0]), real(*e.operands[1]));
  }

  int64_t whole(const ExprNode& e) {
    switch (e.op) {
      case ExprOp::kConst:
        return e.int_value;
      case ExprOp::kAxis:
        return axes_[static_cast<size_t>(e.axis)];
      case ExprOp::kLoad:
        return static_cast<int64_t>(element(e));
      case ExprOp::kReduced:
        return static_cast<int64_t>(accumulator_);
      case ExprOp::kCast: {
        const ExprNode& inner = *e.operands[0];
        return inner.kind == ScalarKind::kReal ? truncate_to(e.dtype, real(inner))
                                               : wrap_to(e.dtype, whole(inner));
      }
      case ExprOp::kSelect:
        return whole(*e.operands[0]) ? whole(*e.operands[1]) : whole(*e.operands[2]);
      case ExprOp::kIsNan:
        return std::isnan(real(*e.operands[0]));
      case ExprOp::kAnd:
        return whole(*e.operands[0]) && whole(*e.operands[1]);
      case ExprOp::kOr:
        return whole(*e.operands[0]) || whole(*e.operands[1]);
      default:
        break;
    }
    if (is_unary(e.op)) return apply_int(e.op, whole(*e.operands[0]));
    const ExprNode &a = *e.operands[0], &b = *e.operands[1];
    if (a.kind == ScalarKind::kReal || b.kind == ScalarKind::kReal)
      return compare_real(e.op, real(a), real(b));
    return apply_int(e.op, whole(a), whole(b));
  }

  double element(const ExprNode& e) {
    const StageTensor& tensor = graph_.tensors[static_cast<size_t>(e.tensor)];
    const Shape& shape = tensor.type.shape;
    if (shape.size() != e.operands.size()) {
      error_ = fmt::format("load of {} with {} indices for rank {}", tensor.name, e.operands.size(),
                           shape.size());
      return 0;
    }
    int64_t offset = 0;
    for (size_t i = 0; i < shape.size(); ++i) {
      const int64_t index = whole(*e.operands[i]);
      if (index < 0 || index >= shape[i]) {
        if (error_.empty())
          error_ = fmt::format("index {} of dimension {} is out of range for {} {}", index, i,
                               tensor.name, shape_text(shape));
        return 0;
      }
      offset = offset * shape[i] + index;
    }
    return tensors_[static_cast<size_t>(e.tensor)].data[static_cast<size_t>(offset)];
  }

  const StageGraph& graph_;
  std::vector<HostTensor>& tensors_;
  const Stage& stage_;
  bool round_;
  std::vector<int64_t> extents_, axes_;
  size_t rank_ = 0;
  double accumulator_ = 0;
  std::string error_;
};

}  // namespace

Result<std::vector<HostTensor>> interpret(const StageGraph& graph,
                                          std::map<int, HostTensor> bindings, bool round_to_dtype) {
  std::vector<HostTensor> tensors(graph.tensors.size());
  std::vector<bool> known(graph.tensors.size(), false);
  for (size_t t = 0; t < tensors.size(); ++t) {
    const StageTensor& tensor = graph.tensors[t];
    tensors[t].type = tensor.type;
    if (tensor.role == TensorRole::kOutput || tensor.role == TensorRole::kTemporary) continue;
    auto found = bindings.find(static_cast<int>(t));
    if (found == bindings.end())
      return fail(ErrorKind::kInput, fmt::format("nothing is bound to {}", tensor.name));
    if (static_cast<int64_t>(found->second.data.size()) != tensor.type.elements())
      return fail(ErrorKind::kInput,
                  fmt::format("{} wants {} elements, {} are bound", tensor.name,
                              tensor.type.elements(), found->second.data.size()));
    tensors[t].data = std::move(found->second.data);
    known[t] = true;
  }
  for (const auto& stage : graph.stages) {
    std::string unknown;
    auto check = [&](const ExprNode& e) {
      if (e.op == ExprOp::kLoad && !known.at(static_cast<size_t>(e.tensor)))
        unknown = graph.tensors[static_cast<size_t>(e.tensor)].name;
    };
    visit(stage.body, check);
    if (stage.finish) visit(stage.finish, check);
    if (!unknown.empty())
      return fail(ErrorKind::kInternal, fmt::format("{} is read before it is defined", unknown));
    KW_TRY(tensors[static_cast<size_t>(stage.output)].data,
           StageEvaluator(graph, tensors, stage, round_to_dtype).run());
    known[static_cast<size_t>(stage.output)] = true;
  }
  return tensors;
}

}  // namespace kernelwright::graph

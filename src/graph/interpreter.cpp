// SPDX-License-Identifier: Apache-2.0
#include "graph/interpreter.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "graph/loop.h"
#include "graph/scalar_ops.h"

namespace kernelwright::graph {
namespace {

class StageEvaluator {
 public:
  // `made`: how many slices of a tensor of a loop under way there are.
  StageEvaluator(const StageGraph& graph, std::vector<HostTensor>& tensors, const Stage& stage,
                 const std::map<int, int64_t>& made, bool round)
      : graph_(graph), tensors_(tensors), stage_(stage), made_(made), round_(round) {
    extents_ = axis_extents(graph, stage);
    rank_ = extents_.size() - stage.reduce.size();
    axes_.assign(extents_.size(), 0);
  }

  // Fills the next `count` elements of the output.
  Status run(size_t count) {
    const TensorType& type = graph_.tensors[static_cast<size_t>(stage_.output)].type;
    std::vector<double>& out = tensors_[static_cast<size_t>(stage_.output)].data;
    out.resize(static_cast<size_t>(type.elements()));
    for (const size_t end = next_ + count; next_ < end; ++next_) {
      double value = stage_.combiner == Combiner::kNone ? number(*stage_.body) : reduce();
      if (stage_.finish) {
        accumulator_ = value;
        value = number(*stage_.finish);
      }
      if (!error_.empty())
        return fail(ErrorKind::kInput, fmt::format("{}: {}", stage_.origin, error_));
      out[next_] = round_ ? round_to(type.dtype, value) : value;
      advance(0, rank_);
    }
    return {};
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
      const auto made = i == 0 ? made_.find(e.tensor) : made_.end();
      if (made != made_.end() && index >= made->second) {
        error_ = fmt::format("step {} of {} is read before it is made", index, tensor.name);
        return 0;
      }
      offset = offset * shape[i] + index;
    }
    return tensors_[static_cast<size_t>(e.tensor)].data[static_cast<size_t>(offset)];
  }

  const StageGraph& graph_;
  std::vector<HostTensor>& tensors_;
  const Stage& stage_;
  const std::map<int, int64_t>& made_;
  bool round_;
  std::vector<int64_t> extents_, axes_;
  size_t rank_ = 0, next_ = 0;
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
  KW_CHECK_OK(check_loops(graph.stages, graph.tensors));
  // A stage outside of loops counts as a loop of one step.
  for (size_t first = 0; first < graph.stages.size();) {
    size_t last = first + 1;
    int64_t steps = 1;
    std::map<int, int64_t> made;
    for (const Loop& loop : loops_of(graph.stages, graph.tensors)) {
      if (loop.first != first) continue;
      last = loop.last;
      steps = loop.steps;
    }
    std::vector<StageEvaluator> evaluators;
    for (size_t s = first; s < last; ++s) {
      const int output = graph.stages[s].output;
      if (graph.stages[s].loop >= 0) {
        made[output] = 0;
        known[static_cast<size_t>(output)] = true;
      }
      evaluators.emplace_back(graph, tensors, graph.stages[s], made, round_to_dtype);
    }
    for (size_t s = first; s < last; ++s) {
      std::string unknown;
      auto check = [&](const ExprNode& e) {
        if (e.op == ExprOp::kLoad && !known.at(static_cast<size_t>(e.tensor)))
          unknown = graph.tensors[static_cast<size_t>(e.tensor)].name;
      };
      visit(graph.stages[s].body, check);
      if (graph.stages[s].finish) visit(graph.stages[s].finish, check);
      if (!unknown.empty())
        return fail(ErrorKind::kInternal, fmt::format("{} is read before it is defined", unknown));
    }
    for (int64_t t = 0; t < steps; ++t) {
      for (size_t s = first; s < last; ++s) {
        const int output = graph.stages[s].output;
        const int64_t elements = graph.tensors[static_cast<size_t>(output)].type.elements();
        KW_CHECK_OK(evaluators[s - first].run(static_cast<size_t>(elements / steps)));
        if (graph.stages[s].loop >= 0) made[output] = t + 1;
        known[static_cast<size_t>(output)] = true;
      }
    }
    first = last;
  }
  return tensors;
}

}  // namespace kernelwright::graph

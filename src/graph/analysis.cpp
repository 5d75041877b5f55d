// SPDX-License-Identifier: Apache-2.0
#include "graph/analysis.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "graph/scalar_ops.h"
#include "graph/scan.h"

namespace kernelwright::graph {
namespace {

constexpr int64_t kMaxEnumerated = 1 << 16;

std::set<int> axes_of(const Expr& expr) {
  std::set<int> out;
  visit(expr, [&](const ExprNode& e) {
    if (e.op == ExprOp::kAxis) out.insert(e.axis);
  });
  return out;
}

// Value of an integer or boolean expression at a point; nullopt when it depends on data.
std::optional<int64_t> at_point(const ExprNode& e, const std::vector<int64_t>& point) {
  switch (e.op) {
    case ExprOp::kConst:
      return e.kind == ScalarKind::kReal ? std::nullopt : std::optional(e.int_value);
    case ExprOp::kAxis:
      return point[static_cast<size_t>(e.axis)];
    case ExprOp::kLoad:
    case ExprOp::kReduced:
    case ExprOp::kCast:
    case ExprOp::kIsNan:
      return std::nullopt;
    default:
      break;
  }
  std::vector<int64_t> operands;
  for (const auto& operand : e.operands) {
    if (operand->kind == ScalarKind::kReal) return std::nullopt;
    auto value = at_point(*operand, point);
    if (!value) return std::nullopt;
    operands.push_back(*value);
  }
  if (e.op == ExprOp::kSelect) return operands[0] ? operands[1] : operands[2];
  if (e.kind == ScalarKind::kReal) return std::nullopt;
  return is_unary(e.op) ? apply_int(e.op, operands[0]) : apply_int(e.op, operands[0], operands[1]);
}

void conjuncts(const Expr& condition, std::vector<Expr>& out) {
  if (condition->op == ExprOp::kAnd) {
    for (const auto& operand : condition->operands) conjuncts(operand, out);
  } else {
    out.push_back(condition);
  }
}

// Share of the points of a box at which a condition on positions holds: parts without common axes
// are counted on their own. 1 where it depends on data or a part is too large to enumerate.
double share_of_points(const Expr& condition, const std::vector<int64_t>& extents) {
  std::vector<Expr> parts;
  conjuncts(condition, parts);
  struct Group {
    std::set<int> axes;
    std::vector<Expr> conditions;
  };
  std::vector<Group> groups;
  for (const auto& part : parts) {
    Group merged{axes_of(part), {part}};
    for (size_t i = groups.size(); i-- > 0;) {
      const bool common = std::any_of(groups[i].axes.begin(), groups[i].axes.end(),
                                      [&](int a) { return merged.axes.contains(a); });
      if (!common) continue;
      merged.axes.insert(groups[i].axes.begin(), groups[i].axes.end());
      merged.conditions.insert(merged.conditions.end(), groups[i].conditions.begin(),
                               groups[i].conditions.end());
      groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(i));
    }
    groups.push_back(std::move(merged));
  }
  double share = 1;
  for (const auto& group : groups) {
    int64_t count = 1;
    for (int a : group.axes) {
      if (static_cast<size_t>(a) >= extents.size()) return 1;
      count = std::min(count * std::max<int64_t>(extents[static_cast<size_t>(a)], 1),
                       kMaxEnumerated + 1);
    }
    if (count > kMaxEnumerated) continue;
    std::vector<int64_t> point(extents.size(), 0);
    int64_t hits = 0;
    bool known = true;
    for (int64_t i = 0; i < count && known; ++i) {
      int64_t rest = i;
      for (int a : group.axes) {
        const int64_t extent = std::max<int64_t>(extents[static_cast<size_t>(a)], 1);
        point[static_cast<size_t>(a)] = rest % extent;
        rest /= extent;
      }
      bool all = true;
      for (const auto& part : group.conditions) {
        auto value = at_point(*part, point);
        known = known && value.has_value();
        all = all && value.value_or(1) != 0;
      }
      hits += all;
    }
    if (known) share *= static_cast<double>(hits) / static_cast<double>(count);
  }
  return share;
}

// Arithmetic on reals, each node once; a chosen side counts by its share of the points.
double arithmetic(const Expr& expr, const std::vector<int64_t>& extents) {
  std::set<const ExprNode*> seen;
  std::function<double(const Expr&)> walk = [&](const Expr& e) -> double {
    if (e->op == ExprOp::kLoad || !seen.insert(e.get()).second) return 0;
    if (e->op == ExprOp::kSelect) {
      const double share = share_of_points(e->operands[0], extents);
      const double condition = walk(e->operands[0]);
      return condition + share * walk(e->operands[1]) + walk(e->operands[2]);
    }
    double total = 0;
    bool reals = false;
    for (const auto& operand : e->operands) {
      total += walk(operand);
      reals = reals || operand->kind == ScalarKind::kReal;
    }
    const bool counts = e->op >= ExprOp::kNeg && e->op != ExprOp::kAnd && e->op != ExprOp::kOr &&
                        e->op != ExprOp::kNot;
    return total + (counts && (reals || e->kind == ScalarKind::kReal) ? 1 : 0);
  };
  return walk(expr);
}

// Factors of a product of loads, through selects with 0 (padding) or between loads, and casts;
// false for any other body.
bool product_factors(const Expr& expr, const std::vector<int64_t>& extents, int& factors,
                     double& share) {
  switch (expr->op) {
    case ExprOp::kLoad:
      ++factors;
      return true;
    case ExprOp::kCast:
      return product_factors(expr->operands[0], extents, factors, share);
    case ExprOp::kMul:
      return product_factors(expr->operands[0], extents, factors, share) &&
             product_factors(expr->operands[1], extents, factors, share);
    case ExprOp::kSelect: {
      const Expr &chosen = expr->operands[1], &other = expr->operands[2];
      // Whichever element it is, it is one.
      if (chosen->op == ExprOp::kLoad && other->op == ExprOp::kLoad) {
        ++factors;
        return true;
      }
      if (other->op != ExprOp::kConst || other->real_value != 0 || other->int_value != 0)
        return false;
      share *= share_of_points(expr->operands[0], extents);
      return product_factors(expr->operands[1], extents, factors, share);
    }
    default:
      return false;
  }
}

double extent_product(const std::vector<int64_t>& extents) {
  double out = 1;
  for (int64_t e : extents) out *= static_cast<double>(e);
  return out;
}

// Elements of each tensor that stages touch at most: positions of a load by the axes in its index.
class Traffic {
 public:
  explicit Traffic(const StageGraph& graph)
      : graph_(graph), reads_(graph.tensors.size(), 0), writes_(graph.tensors.size(), 0) {}

  void add(const Stage& stage) {
    const auto extents = axis_extents(graph_, stage);
    const double domain =
        extent_product(graph_.tensors[static_cast<size_t>(stage.output)].type.shape);
    if (domain == 0) return;
    for (const Expr& part : {stage.body, stage.finish}) {
      if (!part) continue;
      visit(part, [&](const ExprNode& e) {
        if (e.op != ExprOp::kLoad) return;
        std::set<int> axes;
        std::string key = std::to_string(e.tensor);
        for (const auto& index : e.operands) {
          axes.merge(axes_of(index));
          key += "," + text(index);
        }
        for (int a : axes) key += ":" + std::to_string(extents[static_cast<size_t>(a)]);
        if (!seen_.insert(key).second) return;
        double count = 1;
        for (int a : axes) count *= static_cast<double>(extents[static_cast<size_t>(a)]);
        double& reads = reads_[static_cast<size_t>(e.tensor)];
        reads = std::min(
            reads + count,
            static_cast<double>(graph_.tensors[static_cast<size_t>(e.tensor)].type.elements()));
      });
    }
    writes_[static_cast<size_t>(stage.output)] = domain;
  }

  double read_bytes(size_t t) const {
    return reads_[t] * static_cast<double>(dtype_bytes(graph_.tensors[t].type.dtype));
  }
  double write_bytes(size_t t) const {
    return writes_[t] * static_cast<double>(dtype_bytes(graph_.tensors[t].type.dtype));
  }

 private:
  const StageGraph& graph_;
  std::set<std::string> seen_;
  std::vector<double> reads_, writes_;
};

void add_flops(const StageGraph& graph, const Stage& stage, Work& work) {
  const auto extents = axis_extents(graph, stage);
  const Shape& shape = graph.tensors[static_cast<size_t>(stage.output)].type.shape;
  double points = extent_product(shape);
  const double reductions = extent_product(stage.reduce);
  if (stage.finish) work.other_flops += points * arithmetic(stage.finish, shape);
  // Where finish throws the reduced value away (a causal mask), the reduction need not be done.
  if (stage.finish && stage.finish->op == ExprOp::kSelect &&
      stage.finish->operands[2]->op == ExprOp::kConst)
    points *= share_of_points(stage.finish->operands[0], shape);
  if (stage.combiner == Combiner::kNone) {
    work.other_flops += points * arithmetic(stage.body, extents);
    return;
  }
  // Counting and searching in integers is no arithmetic on reals.
  if (stage.body->kind != ScalarKind::kReal) return;
  if (const auto scan =
          match_scan(stage.combiner, stage.body, extents, static_cast<int>(shape.size()))) {
    work.other_flops += points * (arithmetic(scan->value, extents) + 1);
    return;
  }
  int factors = 0;
  double share = 1;
  if (stage.combiner == Combiner::kSum && product_factors(stage.body, extents, factors, share) &&
      factors >= 2) {
    work.contraction_flops += points * reductions * share * factors;
    return;
  }
  work.other_flops += points * reductions * (arithmetic(stage.body, extents) + 1);
}

}  // namespace

Work count_work(const StageGraph& graph) {
  Work work;
  Traffic traffic(graph);
  for (const auto& stage : graph.stages) {
    add_flops(graph, stage, work);
    traffic.add(stage);
  }
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    const TensorRole role = graph.tensors[t].role;
    if (role == TensorRole::kInput || role == TensorRole::kWeight || role == TensorRole::kState)
      work.bytes += traffic.read_bytes(t);
    if (role == TensorRole::kOutput || role == TensorRole::kState)
      work.bytes += traffic.write_bytes(t);
  }
  return work;
}

DType compute_dtype(const std::vector<StageTensor>& tensors) {
  const bool wide = std::any_of(tensors.begin(), tensors.end(),
                                [](const auto& t) { return t.type.dtype == DType::kF64; });
  return wide ? DType::kF64 : DType::kF32;
}

Work count_stage_work(const StageGraph& graph, const Stage& stage) {
  Work work;
  Traffic traffic(graph);
  add_flops(graph, stage, work);
  traffic.add(stage);
  for (size_t t = 0; t < graph.tensors.size(); ++t)
    work.bytes += traffic.read_bytes(t) + traffic.write_bytes(t);
  return work;
}

SpeedOfLight speed_of_light(const Work& work, const Ceilings& ceilings) {
  SpeedOfLight out;
  if (ceilings.bytes_per_s > 0) out.memory_s = work.bytes / ceilings.bytes_per_s;
  if (ceilings.flops_per_s > 0)
    out.compute_s = (work.contraction_flops + work.other_flops) / ceilings.flops_per_s;
  out.seconds = std::max(out.memory_s, out.compute_s);
  out.bound = out.compute_s > out.memory_s ? "compute" : "memory";
  return out;
}

}  // namespace kernelwright::graph

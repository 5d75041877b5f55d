// SPDX-License-Identifier: Apache-2.0
#include "expert/families/recurrence_plan.h"

#include <algorithm>
#include <map>

#include "graph/loop.h"
#include "rewrite/terms.h"

namespace kernelwright::expert {

using graph::Combiner;
using graph::DType;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;
using graph::Stage;

namespace {

bool uses_axes_only(const Expr& expr, const std::vector<int>& axes) {
  bool all = true;
  graph::visit(expr, [&](const ExprNode& e) {
    if (e.op == ExprOp::kAxis) all &= std::find(axes.begin(), axes.end(), e.axis) != axes.end();
    all &= e.op != ExprOp::kReduced;
  });
  return all;
}

bool loads_f64(const OpContext& context, const Expr& expr) {
  bool found = false;
  graph::visit(expr, [&](const ExprNode& e) {
    found |= e.op == ExprOp::kLoad && context.type(e.tensor).dtype == DType::kF64;
  });
  return found;
}

// Whether an index runs along an axis, from any constant; an axis of one point is a constant.
bool is_axis(const graph::Affine& index, size_t axis, int64_t extent) {
  for (size_t a = 0; a < index.coefficients.size(); ++a) {
    const int64_t c = index.coefficients[a];
    if (a == axis ? c != 1 && !(c == 0 && extent == 1) : c != 0) return false;
  }
  return true;
}

class RecurrencePlanner {
 public:
  explicit RecurrencePlanner(const OpContext& context) : context_(context) {
    plan_.first_stand_in = static_cast<int>(context.graph.tensors.size());
    for (const Stage& stage : context.op.stages) own_[stage.output] = -1;
    for (int tensor : context.op.outputs) kept_[tensor] = true;
    for (int tensor : graph::read_back(context.op.stages)) kept_[tensor] = true;
  }

  std::optional<RecurrencePlan> run() {
    // Units first: what is no sum has one element per unit.
    for (const Stage& stage : context_.op.stages) {
      const graph::TensorType& type = context_.type(stage.output);
      if (type.shape.size() != 3 || type.dtype != DType::kF32 || type.elements() == 0)
        return std::nullopt;
      if (stage.combiner == Combiner::kNone || kept_.count(stage.output) != 0)
        plan_.units = type.shape[2];
    }
    if (plan_.units == 0) return std::nullopt;
    for (const Stage& stage : context_.op.stages) {
      for (const Expr& expr : {stage.body, stage.finish})
        if (expr && loads_f64(context_, expr)) return std::nullopt;
      if (stage.combiner == Combiner::kNone ? !take_point(stage) : !take_sums(stage))
        return std::nullopt;
    }
    for (const RecurrentCell& cell : plan_.cells)
      if (cell.points.empty()) return std::nullopt;
    return plan_;
  }

 private:
  bool take_sums(const Stage& stage) {
    const auto& shape = context_.type(stage.output).shape;
    if (stage.combiner != Combiner::kSum || stage.reduce.size() != 1 ||
        stage.body->op != ExprOp::kMul || shape[2] % plan_.units != 0)
      return false;
    RecurrentCell cell;
    cell.state = stage.body->operands[0];
    cell.weight = stage.body->operands[1];
    if (!uses_axes_only(cell.weight, {2, 3})) std::swap(cell.state, cell.weight);
    if (!uses_axes_only(cell.weight, {2, 3}) || !uses_axes_only(cell.state, {0, 1, 3}) ||
        !rewrite::loads_only(cell.weight, context_.graph.fixed) || reads_this_step(cell.state))
      return false;
    const int64_t gates = shape[2] / plan_.units;
    if (gates > RecurrencePlan::kMostGates) return false;
    if (plan_.cells.empty()) {
      plan_.batch = shape[1];
      plan_.depth = stage.reduce[0];
      plan_.gates = gates;
    } else if (plan_.batch != shape[1] || plan_.depth != stage.reduce[0] || plan_.gates != gates) {
      return false;
    }
    own_[stage.output] = static_cast<int>(plan_.cells.size());
    sums_[stage.output] = stage.finish ? stage.finish : graph::reduced(ScalarKind::kReal);
    plan_.cells.push_back(std::move(cell));
    if (kept_.count(stage.output) == 0) return true;
    if (gates != 1) return false;
    RecurrentCell& last = plan_.cells.back();
    const Expr value = finished(stage.output, 0);
    if (reads_this_step(value)) return false;
    last.points.push_back({stage.output, true, value});
    return true;
  }

  bool take_point(const Stage& stage) {
    if (context_.type(stage.output).shape[1] != plan_.batch) return false;
    int cell = -1;
    bool fits = true;
    const Expr value = graph::rewrite_loads(stage.body, [&](const ExprNode& load) -> Expr {
      const auto own = own_.find(load.tensor);
      if (own == own_.end() || graph::steps_back(load) != 0) return nullptr;
      const auto batch = graph::as_affine(load.operands[1], 3);
      const auto unit = graph::as_affine(load.operands[2], 3);
      fits &= own->second >= 0 && (cell < 0 || cell == own->second) && batch && unit &&
              is_axis(*batch, 1, plan_.batch) && batch->constant == 0 &&
              is_axis(*unit, 2, plan_.units) && unit->constant % plan_.units == 0 &&
              unit->constant >= 0;
      if (!fits) return nullptr;
      cell = own->second;
      const auto& points = plan_.cells[static_cast<size_t>(cell)].points;
      for (size_t i = 0; i < points.size(); ++i) {
        if (points[i].output == load.tensor)
          return graph::load(plan_.stand_in(RecurrencePlan::kMostGates + static_cast<int64_t>(i)),
                             ScalarKind::kReal, {});
      }
      return finished(load.tensor, unit->constant / plan_.units);
    });
    if (!fits || cell < 0 || reads_this_step(value)) return false;
    own_[stage.output] = cell;
    plan_.cells[static_cast<size_t>(cell)].points.push_back(
        {stage.output, kept_.count(stage.output) != 0, value});
    return true;
  }

  // The finished sum of a gate, at the axes of a point.
  Expr finished(int sums, int64_t gate) const {
    const Expr at = graph::axis(2) + graph::integer(gate * plan_.units);
    const Expr value = graph::substitute_axes(sums_.at(sums), {graph::axis(0), graph::axis(1), at});
    return graph::replace_reduced(value, graph::load(plan_.stand_in(gate), ScalarKind::kReal, {}));
  }

  bool reads_this_step(const Expr& expr) const {
    bool found = false;
    graph::visit(expr, [&](const ExprNode& e) {
      found |= e.op == ExprOp::kLoad && own_.count(e.tensor) != 0 && graph::steps_back(e) != 1;
    });
    return found;
  }

  const OpContext& context_;
  RecurrencePlan plan_;
  std::map<int, int> own_;    // tensors of the loop -> cell, -1 before it is known
  std::map<int, bool> kept_;  // those read after their step
  std::map<int, Expr> sums_;  // finish of each cell's sums
};

}  // namespace

std::optional<RecurrencePlan> plan_recurrence(const OpContext& context) {
  if (context.op.steps < 2) return std::nullopt;
  return RecurrencePlanner(context).run();
}

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#include "expert/dialects/expr_printer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "graph/scalar_ops.h"

namespace kernelwright::expert::code {

using graph::DType;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;

ExprPrinter::ExprPrinter(Real real, std::vector<int64_t> extents, std::string prefix,
                         const Spelling& spelling)
    : real_(real), extents_(std::move(extents)), prefix_(std::move(prefix)), spelling_(&spelling) {}

void ExprPrinter::bind_axis(int axis, std::string name, int level) {
  levels_[name] = level;
  axes_[axis] = Value{std::move(name), level, true};
}
void ExprPrinter::bind_tensor(int tensor, std::string pointer, DType dtype,
                              std::vector<int64_t> strides) {
  tensors_[tensor] = Tensor{std::move(pointer), dtype, std::move(strides)};
}
void ExprPrinter::bind_value(int tensor, std::string name, int level) {
  values_[tensor] = Value{std::move(name), level, true};
}
void ExprPrinter::bind_reduced(std::string name, int level) {
  reduced_ = Value{std::move(name), level, true};
}

std::string ExprPrinter::print(const Expr& expr) {
  Value value = visit(expr, false);
  levels_[value.text] = value.level;
  return value.text;
}

int ExprPrinter::level_of(const std::string& name) const {
  auto it = levels_.find(name);
  return it == levels_.end() ? 0 : it->second;
}

std::string ExprPrinter::offset(const std::vector<Expr>& index,
                                const std::vector<int64_t>& strides) {
  Expr sum = graph::integer(0);
  for (size_t d = 0; d < index.size(); ++d) sum = sum + index[d] * graph::integer(strides.at(d));
  return linear(sum, false).text;
}

std::string ExprPrinter::take(int level, int indent) {
  std::string text;
  for (const std::string& line : statements_[level])
    text += std::string(static_cast<size_t>(indent), ' ') + line + "\n";
  statements_[level].clear();
  return text;
}

std::string ExprPrinter::type_of(ScalarKind kind) const {
  return value_type(kind, real_);
}

// Integers of axes and constants have the dialect's index type.
std::string ExprPrinter::type_of(const Expr& expr) const {
  if (expr->kind == ScalarKind::kInt && is_index(expr)) return spelling_->index;
  return type_of(expr->kind);
}

ExprPrinter::Value ExprPrinter::settle(const std::string& type, std::string text, int level,
                                       bool inside_select) {
  if (auto it = known_.find(text); it != known_.end()) return it->second;
  if (inside_select) return Value{"(" + text + ")", level, false};
  Value value{fmt::format("{}{}", prefix_, next_++), level, true};
  statements_[level].push_back(fmt::format("const {} {} = {};", type, value.text, text));
  known_[text] = value;
  levels_[value.text] = level;
  return value;
}

// An integer expression; affine ones are grouped by level so that the inner loop sees base + i.
ExprPrinter::Value ExprPrinter::linear(const Expr& index, bool inside_select) {
  Expr simple = graph::simplify_index(index, extents_);
  const int count = static_cast<int>(extents_.size());
  auto affine = graph::as_affine(simple, count);
  if (!affine) return visit(simple, inside_select);
  std::map<int, std::string> by_level;
  int top = 0;
  for (int a = 0; a < count; ++a) {
    const int64_t c = affine->coefficients[static_cast<size_t>(a)];
    if (c == 0 || extents_[static_cast<size_t>(a)] == 1) continue;
    const Value& axis = axes_.at(a);
    std::string term = c == 1 ? axis.text : fmt::format("{} * {}", axis.text, c);
    std::string& sum = by_level[axis.level];
    sum += (sum.empty() ? "" : " + ") + term;
    top = std::max(top, axis.level);
  }
  if (by_level.empty()) return Value{fmt::format("{}", affine->constant), 0, true};
  std::string running;
  if (affine->constant != 0) running = fmt::format("{}", affine->constant);
  Value value;
  for (auto& [level, sum] : by_level) {
    std::string text = running.empty() ? sum : running + " + " + sum;
    const bool single = text.find(' ') == std::string::npos;
    value = single ? Value{text, level, true}
                   : settle(spelling_->index, text, level, inside_select && level == top);
    running = value.text;
  }
  return value;
}

ExprPrinter::Value ExprPrinter::load(const ExprNode& node, bool inside_select) {
  if (auto it = values_.find(node.tensor); it != values_.end()) return it->second;
  auto it = tensors_.find(node.tensor);
  KW_INVARIANT(it != tensors_.end(), fmt::format("tensor {} is not bound", node.tensor));
  const Tensor& tensor = it->second;
  Expr sum = graph::integer(0);
  for (size_t d = 0; d < node.operands.size(); ++d) {
    sum = sum + node.operands[d] * graph::integer(tensor.strides.at(d));
  }
  Value at = linear(sum, inside_select);
  std::string text =
      from_stored(fmt::format("{}[{}]", tensor.pointer, at.text), tensor.dtype, node.kind, real_);
  return settle(type_of(node.kind), std::move(text), at.level, inside_select);
}

namespace {

// Written between its operands. Logic has no short circuit: both sides are cheap and a vector loop
// wants no branch.
const char* infix(ExprOp op) {
  if (op == ExprOp::kAnd) return "&";
  if (op == ExprOp::kOr) return "|";
  const bool arithmetic = op == ExprOp::kAdd || op == ExprOp::kSub || op == ExprOp::kMul;
  const bool bits = op == ExprOp::kBitAnd || op == ExprOp::kBitOr || op == ExprOp::kBitXor;
  return arithmetic || bits || graph::is_comparison(op) ? graph::op_name(op) : nullptr;
}

bool has_load(const Expr& expr) {
  bool found = false;
  graph::visit(expr, [&](const ExprNode& node) { found |= node.op == ExprOp::kLoad; });
  return found;
}

// An index that is known not to be negative: sums and products of axes and constants.
bool non_negative(const Expr& expr) {
  switch (expr->op) {
    case ExprOp::kAxis:
      return true;
    case ExprOp::kConst:
      return expr->int_value >= 0;
    case ExprOp::kAdd:
    case ExprOp::kMul:
    case ExprOp::kFloorDiv:
      return non_negative(expr->operands[0]) && non_negative(expr->operands[1]);
    case ExprOp::kMod:
      return non_negative(expr->operands[1]);
    default:
      return false;
  }
}

}  // namespace

ExprPrinter::Value ExprPrinter::visit(const Expr& expr, bool inside_select) {
  const ExprNode& node = *expr;
  switch (node.op) {
    case ExprOp::kConst:
      if (node.kind == ScalarKind::kReal)
        return Value{real_literal(node.real_value, real_, *spelling_), 0, true};
      if (node.kind == ScalarKind::kBool)
        return Value{node.int_value != 0 ? "true" : "false", 0, true};
      if (node.int_value == std::numeric_limits<int64_t>::min())
        return Value{spelling_->least_int, 0, true};
      return Value{node.int_value < 0 ? fmt::format("({})", node.int_value)
                                      : fmt::format("{}", node.int_value),
                   0, true};
    case ExprOp::kAxis: {
      if (extents_.at(static_cast<size_t>(node.axis)) == 1) return Value{"0", 0, true};
      return axes_.at(node.axis);
    }
    case ExprOp::kReduced:
      return reduced_;
    case ExprOp::kLoad:
      return load(node, inside_select);
    default:
      break;
  }
  if (node.kind == ScalarKind::kInt &&
      (node.op == ExprOp::kAdd || node.op == ExprOp::kMul || node.op == ExprOp::kSub)) {
    if (graph::as_affine(graph::simplify_index(expr, extents_),
                         static_cast<int>(extents_.size()))) {
      return linear(expr, inside_select);
    }
  }
  if (node.op == ExprOp::kSelect) {
    Value condition = visit(node.operands[0], inside_select);
    const bool guard = has_load(node.operands[1]) || has_load(node.operands[2]);
    Value then_value = visit(node.operands[1], inside_select || guard);
    Value else_value = visit(node.operands[2], inside_select || guard);
    const std::string type = type_of(expr);
    auto side = [&](const Value& value, const Expr& side_expr) {
      return side_expr->kind == node.kind ? value.text : "(" + type + ")" + value.text;
    };
    const int level = std::max({condition.level, then_value.level, else_value.level});
    return settle(type,
                  fmt::format("{} ? {} : {}", condition.text, side(then_value, node.operands[1]),
                              side(else_value, node.operands[2])),
                  level, inside_select);
  }
  std::vector<Value> values;
  int level = 0;
  for (const Expr& operand : node.operands) {
    values.push_back(visit(operand, inside_select));
    level = std::max(level, values.back().level);
  }
  // Operands of mixed kinds meet in the wider one.
  ScalarKind meet = node.kind;
  bool indices = true;
  for (const Expr& operand : node.operands) {
    meet = std::min(meet, operand->kind);
    indices = indices && is_index(operand);
  }
  const std::string met = meet == ScalarKind::kInt && indices ? spelling_->index : type_of(meet);
  auto text = [&](size_t i) {
    const bool plain = node.operands[i]->kind == meet;
    return plain ? values[i].text : fmt::format("({}){}", met, values[i].text);
  };
  const std::string type = type_of(expr);
  std::string out;
  if (node.op == ExprOp::kCast) {
    const ScalarKind from = node.operands[0]->kind;
    const std::string& v = values[0].text;
    switch (node.dtype) {
      case DType::kBool:
        out = fmt::format("{} != 0", v);
        break;
      case DType::kF16:
        out = fmt::format("({})kw_f16_to_f32(kw_f32_to_f16((float){}))", type, v);
        break;
      case DType::kBF16:
        out = fmt::format("({})kw_bf16_to_f32(kw_f32_to_bf16((float){}))", type, v);
        break;
      case DType::kF32:
        if (from == ScalarKind::kReal && real_ == Real::kF32) return values[0];
        out = fmt::format("({})(float){}", type, v);
        break;
      case DType::kF64:
        if (from == ScalarKind::kReal) return values[0];
        out = fmt::format("({}){}", type, v);
        break;
      case DType::kI64:
        if (from == ScalarKind::kInt) return values[0];
        out = fmt::format("(int64_t){}", v);
        break;
      default:
        out = fmt::format("({})({}){}", type, c_type(node.dtype), v);
        break;
    }
  } else if (node.op == ExprOp::kNeg) {
    out = "-" + values[0].text;
  } else if (node.op == ExprOp::kNot) {
    out = "!" + values[0].text;
  } else if (node.op == ExprOp::kIsNan) {
    out = fmt::format("{0} != {0}", values[0].text);
  } else if (graph::is_unary(node.op)) {
    out = fmt::format("kw_{}(({}){})", graph::op_name(node.op), met, values[0].text);
  } else if (node.op == ExprOp::kShiftLeft) {
    out = fmt::format("({1} < 0 | {1} > 63) ? 0 : (int64_t)((uint64_t)(int64_t){0} << {1})",
                      text(0), text(1));
  } else if (node.op == ExprOp::kShiftRight) {
    out = fmt::format("(int64_t){0} >> (({1} < 0 | {1} > 63) ? 63 : {1})", text(0), text(1));
  } else if (const char* sign = infix(node.op)) {
    out = fmt::format("{} {} {}", text(0), sign, text(1));
  } else if (node.op == ExprOp::kDiv) {
    out = meet == ScalarKind::kReal
              ? fmt::format("{} / {}", text(0), text(1))
              : fmt::format("({0}){1} / ({0}){2}", real_type(real_), text(0), text(1));
  } else if ((node.op == ExprOp::kFloorDiv || node.op == ExprOp::kMod) &&
             meet == ScalarKind::kInt && non_negative(node.operands[0]) &&
             node.operands[1]->op == ExprOp::kConst && node.operands[1]->int_value > 0) {
    out = fmt::format("{} {} {}", text(0), node.op == ExprOp::kMod ? "%" : "/", text(1));
  } else {
    KW_INVARIANT(values.size() == 2, "an expression without a C++ form");
    // The types are said: literals would leave the overload open.
    out = fmt::format("kw_{0}(({1}){2}, ({1}){3})", graph::op_name(node.op), met, values[0].text,
                      values[1].text);
  }
  return settle(type, std::move(out), level, inside_select);
}

}  // namespace kernelwright::expert::code

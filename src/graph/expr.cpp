// SPDX-License-Identifier: Apache-2.0
#include "graph/expr.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "graph/scalar_ops.h"

namespace kernelwright::graph {
namespace {

std::shared_ptr<ExprNode> make(ExprOp op, ScalarKind kind, std::vector<Expr> operands = {}) {
  auto node = std::make_shared<ExprNode>();
  node->op = op;
  node->kind = kind;
  node->operands = std::move(operands);
  return node;
}

bool is_const(const Expr& e) {
  return e->op == ExprOp::kConst;
}
bool is_int_const(const Expr& e, int64_t value) {
  return is_const(e) && e->kind == ScalarKind::kInt && e->int_value == value;
}
bool is_real_const(const Expr& e, double value) {
  return is_const(e) && e->kind == ScalarKind::kReal && e->real_value == value;
}
double real_of(const Expr& e) {
  return e->kind == ScalarKind::kReal ? e->real_value : static_cast<double>(e->int_value);
}

// A constant takes the kind it is needed in; anything else stays and is promoted by whoever
// evaluates.
Expr as_real(const Expr& e) {
  return is_const(e) && e->kind != ScalarKind::kReal ? constant(static_cast<double>(e->int_value))
                                                     : e;
}

bool overflows(ExprOp op, int64_t a, int64_t b) {
  int64_t ignored = 0;
  switch (op) {
    case ExprOp::kAdd:
      return __builtin_add_overflow(a, b, &ignored);
    case ExprOp::kSub:
      return __builtin_sub_overflow(a, b, &ignored);
    case ExprOp::kMul:
      return __builtin_mul_overflow(a, b, &ignored);
    case ExprOp::kFloorDiv:
    case ExprOp::kMod:
    case ExprOp::kFmod:
      return b == 0 || (a == std::numeric_limits<int64_t>::min() && b == -1);
    default:
      return false;
  }
}

// The powers that PyTorch makes by products and roots as well; null for others.
Expr simple_power(const Expr& base, const Expr& exponent) {
  if (is_real_const(exponent, 2)) return base * base;
  if (is_real_const(exponent, 3)) return base * base * base;
  if (is_real_const(exponent, 0.5)) return unary(ExprOp::kSqrt, base);
  if (is_real_const(exponent, -0.5)) return unary(ExprOp::kRsqrt, base);
  if (is_real_const(exponent, -1)) return binary(ExprOp::kDiv, constant(1), base);
  if (is_real_const(exponent, -2)) return binary(ExprOp::kDiv, constant(1), base * base);
  return nullptr;
}

// x + 0, x * 1 and the like; null when nothing applies. x * 0 stays for reals: x may be NaN.
Expr fold_identity(ExprOp op, ScalarKind kind, const Expr& a, const Expr& b) {
  const bool whole = kind == ScalarKind::kInt;
  const bool keeps_a = a->kind == kind, keeps_b = b->kind == kind;
  switch (op) {
    case ExprOp::kAdd:
      if (whole && keeps_a && is_int_const(b, 0)) return a;
      if (whole && keeps_b && is_int_const(a, 0)) return b;
      break;
    case ExprOp::kSub:
      if (keeps_a && (is_int_const(b, 0) || is_real_const(b, 0))) return a;
      break;
    case ExprOp::kMul:
      if (keeps_a && (is_int_const(b, 1) || is_real_const(b, 1))) return a;
      if (keeps_b && (is_int_const(a, 1) || is_real_const(a, 1))) return b;
      if (whole && (is_int_const(a, 0) || is_int_const(b, 0))) return integer(0);
      break;
    case ExprOp::kDiv:
      if (keeps_a && is_real_const(b, 1)) return a;
      break;
    case ExprOp::kFloorDiv:
      if (whole && keeps_a && is_int_const(b, 1)) return a;
      break;
    case ExprOp::kMod:
      if (whole && is_int_const(b, 1)) return integer(0);
      break;
    case ExprOp::kPow:
      if (keeps_a && is_real_const(b, 1)) return a;
      if (keeps_a && kind == ScalarKind::kReal) return simple_power(a, b);
      break;
    default:
      break;
  }
  return nullptr;
}

Expr rebuild(const Expr& expr, std::vector<Expr> operands) {
  switch (expr->op) {
    case ExprOp::kConst:
    case ExprOp::kAxis:
    case ExprOp::kReduced:
      return expr;
    case ExprOp::kLoad:
      return load(expr->tensor, expr->kind, std::move(operands));
    case ExprOp::kCast:
      return cast(expr->dtype, operands[0]);
    case ExprOp::kSelect:
      return select(operands[0], operands[1], operands[2]);
    default:
      return is_unary(expr->op) ? unary(expr->op, operands[0])
                                : binary(expr->op, operands[0], operands[1]);
  }
}

// Post-order rewriting that keeps shared nodes shared.
class Rewriter {
 public:
  explicit Rewriter(std::function<Expr(const Expr& rebuilt)> rule) : rule_(std::move(rule)) {}

  Expr operator()(const Expr& expr) {
    auto found = done_.find(expr.get());
    if (found != done_.end()) return found->second;
    std::vector<Expr> operands;
    bool changed = false;
    for (const auto& operand : expr->operands) {
      operands.push_back((*this)(operand));
      changed = changed || operands.back() != operand;
    }
    Expr rebuilt = changed ? rebuild(expr, operands) : expr;
    // Folding may leave one of the operands; the rule has seen it.
    const bool seen = std::find(operands.begin(), operands.end(), rebuilt) != operands.end();
    Expr replaced = seen ? nullptr : rule_(rebuilt);
    Expr result = replaced ? replaced : rebuilt;
    done_.emplace(expr.get(), result);
    return result;
  }

 private:
  std::function<Expr(const Expr&)> rule_;
  std::unordered_map<const ExprNode*, Expr> done_;
};

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string out = fmt::format("{}", value);
  return out.find_first_of(".e") == std::string::npos ? out + ".0" : out;
}

}  // namespace

ScalarKind scalar_kind(DType dtype) {
  return is_float(dtype)         ? ScalarKind::kReal
         : dtype == DType::kBool ? ScalarKind::kBool
                                 : ScalarKind::kInt;
}

Expr constant(double value) {
  auto node = make(ExprOp::kConst, ScalarKind::kReal);
  node->real_value = value;
  return node;
}

Expr integer(int64_t value) {
  auto node = make(ExprOp::kConst, ScalarKind::kInt);
  node->int_value = value;
  return node;
}

Expr boolean(bool value) {
  auto node = make(ExprOp::kConst, ScalarKind::kBool);
  node->int_value = value ? 1 : 0;
  return node;
}

Expr axis(int index) {
  auto node = make(ExprOp::kAxis, ScalarKind::kInt);
  node->axis = index;
  return node;
}

Expr reduced(ScalarKind kind) {
  return make(ExprOp::kReduced, kind);
}

Expr load(int tensor, ScalarKind kind, std::vector<Expr> index) {
  for (const auto& i : index)
    KW_INVARIANT(i->kind == ScalarKind::kInt, "a load's index must be integer");
  auto node = make(ExprOp::kLoad, kind, std::move(index));
  node->tensor = tensor;
  return node;
}

Expr cast(DType dtype, Expr value) {
  const ScalarKind kind = scalar_kind(dtype);
  if (value->kind == kind &&
      (kind == ScalarKind::kBool || dtype == DType::kF64 || dtype == DType::kI64))
    return value;
  if (is_const(value)) {
    if (kind == ScalarKind::kReal) return constant(round_to(dtype, real_of(value)));
    int64_t whole = value->kind == ScalarKind::kReal ? truncate_to(dtype, value->real_value)
                                                     : wrap_to(dtype, value->int_value);
    return kind == ScalarKind::kBool ? boolean(whole != 0) : integer(whole);
  }
  auto node = make(ExprOp::kCast, kind, {std::move(value)});
  node->dtype = dtype;
  return node;
}

Expr select(Expr condition, Expr then_value, Expr else_value) {
  if (condition->kind != ScalarKind::kBool) condition = cast(DType::kBool, condition);
  ScalarKind kind = std::min(then_value->kind, else_value->kind);
  if (kind == ScalarKind::kReal) {
    then_value = as_real(then_value);
    else_value = as_real(else_value);
  }
  if (is_const(condition)) {
    const Expr& chosen = condition->int_value ? then_value : else_value;
    if (chosen->kind == kind) return chosen;
    if (kind == ScalarKind::kReal) return binary(ExprOp::kMul, chosen, constant(1));
    return cast(DType::kI64, chosen);
  }
  return make(ExprOp::kSelect, kind,
              {std::move(condition), std::move(then_value), std::move(else_value)});
}

Expr unary(ExprOp op, Expr value) {
  KW_INVARIANT(is_unary(op), "not a unary operator");
  if (op == ExprOp::kNot) {
    value = cast(DType::kBool, value);
    if (is_const(value)) return boolean(value->int_value == 0);
    return make(op, ScalarKind::kBool, {std::move(value)});
  }
  if (op == ExprOp::kIsNan) {
    if (value->kind != ScalarKind::kReal) return boolean(false);
    if (is_const(value)) return boolean(std::isnan(value->real_value));
    return make(op, ScalarKind::kBool, {std::move(value)});
  }
  const bool whole = value->kind != ScalarKind::kReal;
  if (whole) {
    switch (op) {
      case ExprOp::kFloor:
      case ExprOp::kCeil:
      case ExprOp::kRound:
      case ExprOp::kTrunc:
        return value;
      case ExprOp::kNeg:
      case ExprOp::kAbs:
        if (is_const(value)) return integer(apply_int(op, value->int_value));
        return make(op, ScalarKind::kInt, {std::move(value)});
      default:
        value = as_real(value);
    }
  }
  if (is_const(value)) return constant(apply_real(op, value->real_value));
  return make(op, ScalarKind::kReal, {std::move(value)});
}

Expr binary(ExprOp op, Expr left, Expr right) {
  KW_INVARIANT(op >= ExprOp::kAdd && op != ExprOp::kNot, "not a binary operator");
  if (op == ExprOp::kAnd || op == ExprOp::kOr) {
    left = cast(DType::kBool, left);
    right = cast(DType::kBool, right);
    const int64_t absorbing = op == ExprOp::kOr;
    for (const auto& [one, other] : {std::pair{left, right}, std::pair{right, left}})
      if (is_const(one)) return one->int_value == absorbing ? one : other;
    return make(op, ScalarKind::kBool, {std::move(left), std::move(right)});
  }
  const bool real = left->kind == ScalarKind::kReal || right->kind == ScalarKind::kReal ||
                    op == ExprOp::kDiv || op == ExprOp::kAtan2;
  KW_INVARIANT(!real || !is_bitwise(op), "a bitwise operator on reals");
  if (real) {
    left = as_real(left);
    right = as_real(right);
  }
  if (is_const(left) && is_const(right)) {
    if (is_comparison(op))
      return boolean(real ? compare_real(op, left->real_value, right->real_value)
                          : apply_int(op, left->int_value, right->int_value) != 0);
    if (real) return constant(apply_real(op, left->real_value, right->real_value));
    if (!overflows(op, left->int_value, right->int_value))
      return integer(apply_int(op, left->int_value, right->int_value));
  }
  if (is_comparison(op)) return make(op, ScalarKind::kBool, {std::move(left), std::move(right)});
  const ScalarKind kind = real ? ScalarKind::kReal : ScalarKind::kInt;
  if (Expr folded = fold_identity(op, kind, left, right)) return folded;
  return make(op, kind, {std::move(left), std::move(right)});
}

Expr operator+(Expr a, Expr b) {
  return binary(ExprOp::kAdd, std::move(a), std::move(b));
}
Expr operator-(Expr a, Expr b) {
  return binary(ExprOp::kSub, std::move(a), std::move(b));
}
Expr operator*(Expr a, Expr b) {
  return binary(ExprOp::kMul, std::move(a), std::move(b));
}

Expr substitute_axes(const Expr& expr, const std::vector<Expr>& axes) {
  return Rewriter([&](const Expr& e) -> Expr {
    if (e->op != ExprOp::kAxis) return nullptr;
    KW_INVARIANT(static_cast<size_t>(e->axis) < axes.size(), "axis without a substitute");
    return axes[static_cast<size_t>(e->axis)];
  })(expr);
}

Expr rewrite_loads(const Expr& expr, const std::function<Expr(const ExprNode& load)>& rewrite) {
  return Rewriter([&](const Expr& e) { return e->op == ExprOp::kLoad ? rewrite(*e) : nullptr; })(
      expr);
}

Expr replace_reduced(const Expr& expr, const Expr& value) {
  return Rewriter([&](const Expr& e) { return e->op == ExprOp::kReduced ? value : nullptr; })(expr);
}

Expr rewrite(const Expr& expr, const std::function<Expr(const Expr&)>& rule) {
  return Rewriter(rule)(expr);
}

void visit(const Expr& expr, const std::function<void(const ExprNode&)>& visitor) {
  std::unordered_set<const ExprNode*> seen;
  std::function<void(const Expr&)> walk = [&](const Expr& e) {
    if (!seen.insert(e.get()).second) return;
    for (const auto& operand : e->operands) walk(operand);
    visitor(*e);
  };
  walk(expr);
}

bool same(const Expr& a, const Expr& b) {
  if (a == b) return true;
  if (!a || !b) return false;
  if (a->op != b->op || a->kind != b->kind || a->axis != b->axis || a->tensor != b->tensor ||
      a->int_value != b->int_value || a->operands.size() != b->operands.size())
    return false;
  if (a->op == ExprOp::kCast && a->dtype != b->dtype) return false;
  if (a->op == ExprOp::kConst && a->kind == ScalarKind::kReal &&
      !(a->real_value == b->real_value &&
        std::signbit(a->real_value) == std::signbit(b->real_value)) &&
      !(std::isnan(a->real_value) && std::isnan(b->real_value)))
    return false;
  for (size_t i = 0; i < a->operands.size(); ++i)
    if (!same(a->operands[i], b->operands[i])) return false;
  return true;
}

std::string text(const Expr& expr) {
  const ExprNode& e = *expr;
  auto operand = [&](size_t i) { return text(e.operands[i]); };
  switch (e.op) {
    case ExprOp::kConst:
      if (e.kind == ScalarKind::kReal) return real_text(e.real_value);
      if (e.kind == ScalarKind::kBool) return e.int_value ? "true" : "false";
      return fmt::format("{}", e.int_value);
    case ExprOp::kAxis:
      return fmt::format("i{}", e.axis);
    case ExprOp::kReduced:
      return "acc";
    case ExprOp::kLoad: {
      std::string out = fmt::format("t{}[", e.tensor);
      for (size_t i = 0; i < e.operands.size(); ++i) out += (i ? ", " : "") + operand(i);
      return out + "]";
    }
    case ExprOp::kCast:
      return fmt::format("{}({})", dtype_name(e.dtype), operand(0));
    case ExprOp::kSelect:
      return fmt::format("({} ? {} : {})", operand(0), operand(1), operand(2));
    default:
      break;
  }
  if (is_unary(e.op)) return fmt::format("{}({})", op_name(e.op), operand(0));
  const bool infix = !std::isalpha(static_cast<unsigned char>(op_name(e.op)[0]));
  if (infix) return fmt::format("({} {} {})", operand(0), op_name(e.op), operand(1));
  return fmt::format("{}({}, {})", op_name(e.op), operand(0), operand(1));
}

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
#include "expert/dialects/spelling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace kernelwright::expert::code {

using graph::DType;
using graph::Expr;
using graph::ExprNode;
using graph::ExprOp;
using graph::ScalarKind;

const Spelling& cpp_spelling() {
  static const Spelling spelling = {.f32_infinity = "__builtin_inff()",
                                    .f64_infinity = "__builtin_inf()",
                                    .f32_nan = "__builtin_nanf(\"\")",
                                    .f64_nan = "__builtin_nan(\"\")",
                                    .least_int = "INT64_MIN",
                                    .most_int = "INT64_MAX",
                                    .index = "int64_t"};
  return spelling;
}

const Spelling& cuda_spelling(bool narrow_index) {
  static const Spelling wide = {.f32_infinity = "__int_as_float(0x7f800000)",
                                .f64_infinity = "__longlong_as_double(0x7ff0000000000000)",
                                .f32_nan = "__int_as_float(0x7fc00000)",
                                .f64_nan = "__longlong_as_double(0x7ff8000000000000)",
                                .least_int = "(-9223372036854775807 - 1)",
                                .most_int = "9223372036854775807",
                                .index = "int64_t"};
  static const Spelling narrow = [] {
    Spelling spelling = wide;
    spelling.index = "int";
    return spelling;
  }();
  return narrow_index ? narrow : wide;
}

const char* c_type(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return "double";
    case DType::kF32:
      return "float";
    case DType::kF16:
      return "kw_f16";
    case DType::kBF16:
      return "kw_bf16";
    case DType::kI64:
      return "int64_t";
    case DType::kI32:
      return "int32_t";
    case DType::kI16:
      return "int16_t";
    case DType::kI8:
      return "int8_t";
    case DType::kU8:
      return "uint8_t";
    case DType::kU32:
      return "uint32_t";
    case DType::kBool:
      return "uint8_t";
  }
  return "float";
}

const char* real_type(Real real) {
  return real == Real::kF64 ? "double" : "float";
}

std::string real_literal(double value, Real real, const Spelling& spelling) {
  const bool f32 = real == Real::kF32;
  if (std::isnan(value)) return f32 ? spelling.f32_nan : spelling.f64_nan;
  const std::string infinity = f32 ? spelling.f32_infinity : spelling.f64_infinity;
  if (std::isinf(value)) return (value < 0 ? "(-" : "(") + infinity + ")";
  std::string text = f32 ? fmt::format("{:.9g}", static_cast<double>(static_cast<float>(value)))
                         : fmt::format("{:.17g}", value);
  if (f32 && std::isinf(static_cast<float>(value)))
    return value < 0 ? "(-" + infinity + ")" : infinity;
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  if (f32) text += "f";
  return value < 0 || std::signbit(value) ? "(" + text + ")" : text;
}

std::string from_stored(const std::string& element, DType dtype, ScalarKind kind, Real real) {
  if (kind == ScalarKind::kBool) return "(" + element + " != 0)";
  if (kind == ScalarKind::kInt) return dtype == DType::kI64 ? element : "(int64_t)" + element;
  if (dtype == DType::kF16) return fmt::format("({})kw_f16_to_f32({})", real_type(real), element);
  if (dtype == DType::kBF16) return fmt::format("({})kw_bf16_to_f32({})", real_type(real), element);
  const bool same =
      (dtype == DType::kF32 && real == Real::kF32) || (dtype == DType::kF64 && real == Real::kF64);
  return same ? element : fmt::format("({}){}", real_type(real), element);
}

std::string to_stored(const std::string& value, DType dtype, ScalarKind kind) {
  if (dtype == DType::kBool) return fmt::format("(uint8_t)({} != 0)", value);
  if (dtype == DType::kF16) return fmt::format("kw_f32_to_f16((float){})", value);
  if (dtype == DType::kBF16) return fmt::format("kw_f32_to_bf16((float){})", value);
  return fmt::format("({}){}", c_type(dtype), value);
}

Real computing_type(const std::vector<Expr>& expressions, const std::vector<DType>& stored,
                    const std::vector<graph::TensorType>& tensors) {
  if (std::find(stored.begin(), stored.end(), DType::kF64) != stored.end()) return Real::kF64;
  bool wide = false;
  for (const Expr& expr : expressions) {
    if (!expr) continue;
    graph::visit(expr, [&](const ExprNode& node) {
      if (node.op == ExprOp::kCast && node.dtype == DType::kF64) wide = true;
      if (node.op == ExprOp::kLoad && node.tensor >= 0 &&
          tensors.at(static_cast<size_t>(node.tensor)).dtype == DType::kF64)
        wide = true;
    });
  }
  return wide ? Real::kF64 : Real::kF32;
}

const char* value_type(ScalarKind kind, Real real) {
  if (kind == ScalarKind::kReal) return real_type(real);
  return kind == ScalarKind::kInt ? "int64_t" : "bool";
}

bool is_index(const Expr& expr) {
  if (expr->kind != ScalarKind::kInt) return false;
  bool pure = true;
  graph::visit(expr, [&](const ExprNode& node) {
    const bool leaf = node.op == ExprOp::kLoad || node.op == ExprOp::kReduced ||
                      node.op == ExprOp::kCast || node.kind == ScalarKind::kReal;
    pure = pure && !leaf;
  });
  return pure;
}

namespace {

struct Range {
  double low = 0, high = 0;
};

constexpr double kMost32 = 2147483000.0;

// Range of an expression of axes and constants; nullopt when unknown or a part leaves 32 bits.
std::optional<Range> range32(const Expr& expr, const std::vector<int64_t>& extents) {
  auto within = [](double low, double high) -> std::optional<Range> {
    if (low < -kMost32 || high > kMost32) return std::nullopt;
    return Range{low, high};
  };
  if (expr->op == ExprOp::kConst) {
    const auto value = static_cast<double>(expr->int_value);
    return within(value, value);
  }
  if (expr->op == ExprOp::kAxis)
    return within(0, static_cast<double>(extents.at(static_cast<size_t>(expr->axis))));
  if (expr->op == ExprOp::kSelect) {
    const auto a = range32(expr->operands[1], extents), b = range32(expr->operands[2], extents);
    if (!a || !b) return std::nullopt;
    return within(std::min(a->low, b->low), std::max(a->high, b->high));
  }
  std::vector<Range> r;
  for (const Expr& operand : expr->operands) {
    const auto range = range32(operand, extents);
    if (!range) return std::nullopt;
    r.push_back(*range);
  }
  if (expr->op == ExprOp::kNeg) return within(-r[0].high, -r[0].low);
  if (expr->op == ExprOp::kAbs) return within(0, std::max(std::abs(r[0].low), std::abs(r[0].high)));
  if (r.size() != 2) return std::nullopt;
  switch (expr->op) {
    case ExprOp::kAdd:
      return within(r[0].low + r[1].low, r[0].high + r[1].high);
    case ExprOp::kSub:
      return within(r[0].low - r[1].high, r[0].high - r[1].low);
    case ExprOp::kMul: {
      const double products[] = {r[0].low * r[1].low, r[0].low * r[1].high, r[0].high * r[1].low,
                                 r[0].high * r[1].high};
      return within(*std::min_element(products, products + 4),
                    *std::max_element(products, products + 4));
    }
    case ExprOp::kFloorDiv:
    case ExprOp::kMod: {
      const double most =
          std::max(std::abs(r[0].low), std::abs(r[0].high)) +
          (expr->op == ExprOp::kMod ? std::max(std::abs(r[1].low), std::abs(r[1].high)) : 1.0);
      return within(-most, most);
    }
    case ExprOp::kMin:
    case ExprOp::kMax:
      return within(std::min(r[0].low, r[1].low), std::max(r[0].high, r[1].high));
    default:
      return std::nullopt;
  }
}

}  // namespace

bool fits_int32(const Expr& expr, const std::vector<int64_t>& extents) {
  if (!expr) return true;
  if (is_index(expr)) {
    if (!range32(expr, extents)) return false;
    // Affine sums are printed regrouped: every partial sum must fit as well.
    const auto affine =
        graph::as_affine(graph::simplify_index(expr, extents), static_cast<int>(extents.size()));
    if (!affine) return true;
    double most = std::abs(static_cast<double>(affine->constant));
    for (size_t a = 0; a < extents.size(); ++a)
      most +=
          std::abs(static_cast<double>(affine->coefficients[a])) * static_cast<double>(extents[a]);
    return most <= kMost32;
  }
  return std::all_of(expr->operands.begin(), expr->operands.end(),
                     [&](const Expr& operand) { return fits_int32(operand, extents); });
}

}  // namespace kernelwright::expert::code

// SPDX-License-Identifier: Apache-2.0
#include "graph/scalar_ops.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace kernelwright::graph {
namespace {

uint64_t bits(int64_t value) {
  return static_cast<uint64_t>(value);
}
int64_t wrap(uint64_t value) {
  return static_cast<int64_t>(value);
}

int64_t floor_div(int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (b == -1) return wrap(0 - bits(a));
  int64_t q = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

int64_t floor_mod(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return 0;
  int64_t r = a % b;
  return (r != 0 && (r < 0) != (b < 0)) ? r + b : r;
}

int64_t integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  uint64_t result = 1, factor = bits(base);
  for (; exponent > 0; exponent >>= 1, factor *= factor)
    if (exponent & 1) result *= factor;
  return wrap(result);
}

// Round to nearest even at `mantissa` stored bits with smallest normal exponent `min_exponent`.
double round_float(double value, int mantissa, int min_exponent, double largest) {
  if (value == 0 || !std::isfinite(value)) return value;
  int exponent = std::max(std::ilogb(value), min_exponent);
  double unit = std::ldexp(1.0, exponent - mantissa);
  double rounded = std::nearbyint(value / unit) * unit;
  if (std::fabs(rounded) > largest)
    return std::copysign(std::numeric_limits<double>::infinity(), value);
  return rounded == 0 ? std::copysign(0.0, value) : rounded;
}

}  // namespace

double apply_real(ExprOp op, double x) {
  switch (op) {
    case ExprOp::kNeg:
      return -x;
    case ExprOp::kAbs:
      return std::fabs(x);
    case ExprOp::kExp:
      return std::exp(x);
    case ExprOp::kExpm1:
      return std::expm1(x);
    case ExprOp::kLog:
      return std::log(x);
    case ExprOp::kLog1p:
      return std::log1p(x);
    case ExprOp::kLog2:
      return std::log2(x);
    case ExprOp::kSqrt:
      return std::sqrt(x);
    case ExprOp::kRsqrt:
      return 1 / std::sqrt(x);
    case ExprOp::kSin:
      return std::sin(x);
    case ExprOp::kCos:
      return std::cos(x);
    case ExprOp::kTan:
      return std::tan(x);
    case ExprOp::kTanh:
      return std::tanh(x);
    case ExprOp::kSoftplus:
      return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
    case ExprOp::kErf:
      return std::erf(x);
    case ExprOp::kFloor:
      return std::floor(x);
    case ExprOp::kCeil:
      return std::ceil(x);
    case ExprOp::kRound:
      return std::nearbyint(x);
    case ExprOp::kTrunc:
      return std::trunc(x);
    default:
      KW_INVARIANT(false, "not a unary real operator");
  }
}

double apply_real(ExprOp op, double a, double b) {
  switch (op) {
    case ExprOp::kAdd:
      return a + b;
    case ExprOp::kSub:
      return a - b;
    case ExprOp::kMul:
      return a * b;
    case ExprOp::kDiv:
      return a / b;
    case ExprOp::kFloorDiv:
      return std::floor(a / b);
    case ExprOp::kMod: {
      double r = std::fmod(a, b);
      return (r != 0 && (r < 0) != (b < 0)) ? r + b : r;
    }
    case ExprOp::kFmod:
      return std::fmod(a, b);
    case ExprOp::kPow:
      return std::pow(a, b);
    case ExprOp::kAtan2:
      return std::atan2(a, b);
    case ExprOp::kMin:
      return std::isnan(a) ? a : std::isnan(b) ? b : std::fmin(a, b);
    case ExprOp::kMax:
      return std::isnan(a) ? a : std::isnan(b) ? b : std::fmax(a, b);
    default:
      KW_INVARIANT(false, "not a binary real operator");
  }
}

bool compare_real(ExprOp op, double a, double b) {
  switch (op) {
    case ExprOp::kLt:
      return a < b;
    case ExprOp::kLe:
      return a <= b;
    case ExprOp::kGt:
      return a > b;
    case ExprOp::kGe:
      return a >= b;
    case ExprOp::kEq:
      return a == b;
    case ExprOp::kNe:
      return a != b;
    default:
      KW_INVARIANT(false, "not a comparison");
  }
}

int64_t apply_int(ExprOp op, int64_t value) {
  switch (op) {
    case ExprOp::kNeg:
      return wrap(0 - bits(value));
    case ExprOp::kAbs:
      return value < 0 ? wrap(0 - bits(value)) : value;
    case ExprOp::kNot:
      return value == 0;
    default:
      KW_INVARIANT(false, "not a unary integer operator");
  }
}

int64_t apply_int(ExprOp op, int64_t a, int64_t b) {
  switch (op) {
    case ExprOp::kAdd:
      return wrap(bits(a) + bits(b));
    case ExprOp::kSub:
      return wrap(bits(a) - bits(b));
    case ExprOp::kMul:
      return wrap(bits(a) * bits(b));
    case ExprOp::kFloorDiv:
      return floor_div(a, b);
    case ExprOp::kMod:
      return floor_mod(a, b);
    case ExprOp::kFmod:
      return b == 0 || b == -1 ? 0 : a % b;
    case ExprOp::kPow:
      return integer_power(a, b);
    case ExprOp::kMin:
      return a < b ? a : b;
    case ExprOp::kMax:
      return a < b ? b : a;
    case ExprOp::kLt:
      return a < b;
    case ExprOp::kLe:
      return a <= b;
    case ExprOp::kGt:
      return a > b;
    case ExprOp::kGe:
      return a >= b;
    case ExprOp::kEq:
      return a == b;
    case ExprOp::kNe:
      return a != b;
    case ExprOp::kAnd:
      return (a != 0) && (b != 0);
    case ExprOp::kOr:
      return (a != 0) || (b != 0);
    case ExprOp::kBitAnd:
      return a & b;
    case ExprOp::kBitOr:
      return a | b;
    case ExprOp::kBitXor:
      return a ^ b;
    case ExprOp::kShiftLeft:
      return b < 0 || b > 63 ? 0 : wrap(bits(a) << b);
    case ExprOp::kShiftRight:
      return a >> (b < 0 || b > 63 ? 63 : b);
    default:
      KW_INVARIANT(false, "not a binary integer operator");
  }
}

bool is_unary(ExprOp op) {
  return (op >= ExprOp::kNeg && op <= ExprOp::kIsNan) || op == ExprOp::kNot;
}
bool is_bitwise(ExprOp op) {
  return op >= ExprOp::kBitAnd && op <= ExprOp::kShiftRight;
}
bool is_comparison(ExprOp op) {
  return op >= ExprOp::kLt && op <= ExprOp::kNe;
}

const char* op_name(ExprOp op) {
  // In the order of the enumeration.
  static constexpr std::array kNames = {
      "const", "axis", "load",     "reduced",  "cast", "select", "neg",   "abs",   "exp",
      "expm1", "log",  "log1p",    "log2",     "sqrt", "rsqrt",  "sin",   "cos",   "tan",
      "tanh",  "erf",  "softplus", "floor",    "ceil", "round",  "trunc", "isnan", "+",
      "-",     "*",    "/",        "floordiv", "mod",  "fmod",   "pow",   "atan2", "min",
      "max",   "<",    "<=",       ">",        ">=",   "==",     "!=",    "&&",    "||",
      "not",   "&",    "|",        "^",        "<<",   ">>",
  };
  static_assert(kNames.size() == static_cast<size_t>(ExprOp::kShiftRight) + 1);
  return kNames.at(static_cast<size_t>(op));
}

double round_to(DType dtype, double value) {
  switch (dtype) {
    case DType::kF64:
      return value;
    case DType::kF32:
      return static_cast<double>(static_cast<float>(value));
    case DType::kF16:
      return round_float(value, 10, -14, 65504.0);
    // The largest bfloat16, (2 - 2^-7) * 2^127.
    case DType::kBF16:
      return round_float(value, 7, -126, 0x1.fep127);
    case DType::kBool:
      return value != 0 ? 1 : 0;
    default:
      return static_cast<double>(truncate_to(dtype, value));
  }
}

int64_t truncate_to(DType dtype, double value) {
  if (dtype == DType::kBool) return value != 0;
  if (!(std::fabs(value) < 0x1p63)) return 0;
  return wrap_to(dtype, static_cast<int64_t>(value));
}

int64_t wrap_to(DType dtype, int64_t value) {
  switch (dtype) {
    case DType::kI32:
      return static_cast<int32_t>(value);
    case DType::kI16:
      return static_cast<int16_t>(value);
    case DType::kI8:
      return static_cast<int8_t>(value);
    case DType::kU8:
      return static_cast<uint8_t>(value);
    case DType::kU32:
      return static_cast<uint32_t>(value);
    case DType::kBool:
      return value != 0;
    default:
      return value;
  }
}

}  // namespace kernelwright::graph

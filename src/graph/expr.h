// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/tensor_type.h"

namespace kernelwright::graph {

// Scalar expressions: what one element of a tensor is. They are the one statement of what an op
// means; the interpreter evaluates them, analysis counts them, emitters print them.
//
// An integer or boolean operand of a real operator is promoted by whoever evaluates; there is no
// node for it.
//
// Three kinds of scalar: real (computed in the widest float an evaluator has, stored as the stage's
// dtype), integer (int64, also index arithmetic), boolean.
enum class ScalarKind : uint8_t { kReal, kInt, kBool };
ScalarKind scalar_kind(DType dtype);

enum class ExprOp : uint8_t {
  kConst,    // real_value or int_value
  kAxis,     // loop variable `axis` of the stage: output axes first, then reduction axes (kInt)
  kLoad,     // tensor `tensor` at operands (one kInt expression per dimension); out of range is an
             // error
  kReduced,  // inside Stage::finish: the reduced value (kind of the body)
  kCast,     // to `dtype`: value is rounded or truncated as a C cast; bool is != 0
  kSelect,   // operands: condition (kBool), then, else; only the chosen side is evaluated
  // unary, real
  kNeg,
  kAbs,
  kExp,
  kExpm1,
  kLog,
  kLog1p,
  kLog2,
  kSqrt,
  kRsqrt,
  kSin,
  kCos,
  kTan,
  kTanh,
  kErf,
  kSoftplus,  // log(1 + exp(x))
  kFloor,
  kCeil,
  kRound /* half to even */,
  kTrunc,
  kIsNan,
  // binary; kMin and kMax propagate NaN as PyTorch does
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod /* sign of the divisor */,
  kFmod,
  kPow,
  kAtan2,
  kMin,
  kMax,
  kLt,
  kLe,
  kGt,
  kGe,
  kEq,
  kNe,
  kAnd,
  kOr,
  kNot,
  // binary, of integers
  kBitAnd,
  kBitOr,
  kBitXor,
  kShiftLeft,
  kShiftRight /* arithmetic */,
};

class ExprNode;
using Expr = std::shared_ptr<const ExprNode>;

// Immutable. Build through the functions below, which fold constants and check kinds.
class ExprNode {
 public:
  ExprOp op = ExprOp::kConst;
  ScalarKind kind = ScalarKind::kReal;
  double real_value = 0;
  int64_t int_value = 0;  // also boolean constants
  int axis = -1;
  int tensor = -1;            // index into StageGraph::tensors
  DType dtype = DType::kF32;  // of a cast
  std::vector<Expr> operands;
};

Expr constant(double value);
Expr integer(int64_t value);
Expr boolean(bool value);
Expr axis(int index);
Expr reduced(ScalarKind kind);
Expr load(int tensor, ScalarKind kind, std::vector<Expr> index);
Expr cast(DType dtype, Expr value);
Expr select(Expr condition, Expr then_value, Expr else_value);
Expr unary(ExprOp op, Expr value);
Expr binary(ExprOp op, Expr left, Expr right);  // kInt op kReal promotes to kReal
Expr operator+(Expr a, Expr b);
Expr operator-(Expr a, Expr b);
Expr operator*(Expr a, Expr b);

// Rebuilds an expression with every axis replaced: axes[i] stands for axis(i).
Expr substitute_axes(const Expr& expr, const std::vector<Expr>& axes);
// Rebuilds an expression with loads rewritten; `rewrite` returns nullptr to keep a load. Operands
// are rewritten first.
Expr rewrite_loads(const Expr& expr, const std::function<Expr(const ExprNode& load)>& rewrite);
Expr replace_reduced(const Expr& expr, const Expr& value);
// Rebuilds bottom up; `rule` sees every node after its operands and returns nullptr to keep it.
Expr rewrite(const Expr& expr, const std::function<Expr(const Expr&)>& rule);
// Calls `visit` on every node, operands first; shared nodes once.
void visit(const Expr& expr, const std::function<void(const ExprNode&)>& visit);
bool same(const Expr& a, const Expr& b);

std::string text(const Expr& expr);  // "(t0[i0, i2] * t1[i2, i1])", for messages and tests

// Index arithmetic: an expression as sum of coefficient * axis + constant, when it is one.
struct Affine {
  std::vector<int64_t> coefficients;  // per axis, `axis_count` of them
  int64_t constant = 0;
};
std::optional<Affine> as_affine(const Expr& index, int axis_count);
// Simplifies index arithmetic given the extent of every axis: (i*8 + j)/8 -> i when 0 <= j < 8.
// Takes any expression: the integer parts of a body (load indices, conditions) are simplified in
// place.
Expr simplify_index(const Expr& index, const std::vector<int64_t>& extents);

}  // namespace kernelwright::graph

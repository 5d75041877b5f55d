// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "graph/expr.h"
#include "graph/interpreter.h"
#include "graph/scalar_ops.h"
#include "graph/scalar_parser.h"

namespace kernelwright::graph {
namespace {

// Every value of `expr` over the box of `extents`, through the interpreter.
std::vector<double> all_values(const Expr& expr, const Shape& extents) {
  StageGraph graph;
  graph.add_tensor({"out", {DType::kI64, extents, {}}, TensorRole::kOutput, 0, ""});
  Stage stage;
  stage.output = 0;
  stage.body = expr;
  graph.stages.push_back(stage);
  auto tensors = interpret(graph, {});
  EXPECT_TRUE(tensors.has_value()) << tensors.error().text();
  return tensors ? (*tensors)[0].data : std::vector<double>{};
}

std::string simplified(const Expr& expr, const std::vector<int64_t>& extents) {
  return text(simplify_index(expr, extents));
}
Expr floordiv(Expr a, int64_t b) {
  return binary(ExprOp::kFloorDiv, std::move(a), integer(b));
}
Expr mod(Expr a, int64_t b) {
  return binary(ExprOp::kMod, std::move(a), integer(b));
}

TEST(Expr, FoldsConstants) {
  EXPECT_EQ(text(integer(3) + integer(4) * integer(2)), "11");
  EXPECT_EQ(text(binary(ExprOp::kDiv, integer(1), integer(2))), "0.5");
  EXPECT_EQ(text(floordiv(integer(-7), 2)), "-4");
  EXPECT_EQ(text(mod(integer(-7), 2)), "1");
  EXPECT_EQ(text(axis(0) * integer(1) + integer(0)), "i0");
  EXPECT_EQ(text(select(boolean(true), axis(0), axis(1))), "i0");
}

TEST(Expr, KeepsWhatNanWouldChange) {
  Expr x = load(0, ScalarKind::kReal, {axis(0)});
  EXPECT_EQ(text(x * constant(0)), "(t0[i0] * 0.0)");
  EXPECT_EQ(text(x + constant(0)), "(t0[i0] + 0.0)");
}

TEST(Expr, MinAndMaxPropagateNan) {
  const double nan = std::nan("");
  EXPECT_TRUE(std::isnan(apply_real(ExprOp::kMax, 1, nan)));
  EXPECT_TRUE(std::isnan(apply_real(ExprOp::kMin, nan, 1)));
}

TEST(Expr, SubstitutesAxesAndLoads) {
  Expr x = load(0, ScalarKind::kReal, {axis(0), axis(1)});
  EXPECT_EQ(text(substitute_axes(x, {axis(1), axis(0)})), "t0[i1, i0]");
  Expr twice = rewrite_loads(x * x, [](const ExprNode& l) { return load(7, l.kind, l.operands); });
  EXPECT_EQ(text(twice), "(t7[i0, i1] * t7[i0, i1])");
}

TEST(Expr, RoundsHalfTypesLikeIeee) {
  EXPECT_EQ(round_to(DType::kF16, 2049), 2048);
  EXPECT_EQ(round_to(DType::kF16, 2051), 2052);
  EXPECT_TRUE(std::isinf(round_to(DType::kF16, 65520)));
  EXPECT_EQ(round_to(DType::kF16, 65519), 65504);
  EXPECT_EQ(round_to(DType::kF16, 0x1p-25), 0);
  EXPECT_EQ(round_to(DType::kF16, 0x1.8p-25), 0x1p-24);
  EXPECT_EQ(round_to(DType::kBF16, 257), 256);
  EXPECT_EQ(round_to(DType::kBF16, 259), 260);
  EXPECT_EQ(truncate_to(DType::kI8, 200), -56);
  EXPECT_EQ(truncate_to(DType::kI32, -1.9), -1);
}

TEST(Index, Affine) {
  auto affine = as_affine(axis(0) * integer(8) + axis(1) - integer(3), 3);
  ASSERT_TRUE(affine.has_value());
  EXPECT_EQ(affine->coefficients, (std::vector<int64_t>{8, 1, 0}));
  EXPECT_EQ(affine->constant, -3);
  EXPECT_FALSE(as_affine(floordiv(axis(0), 2), 3).has_value());
  EXPECT_FALSE(as_affine(axis(0) * axis(1), 3).has_value());
  EXPECT_FALSE(as_affine(axis(3), 3).has_value());
}

TEST(Index, SimplifiesByRange) {
  Expr flat = axis(0) * integer(8) + axis(1);
  EXPECT_EQ(simplified(floordiv(flat, 8), {4, 8}), "i0");
  EXPECT_EQ(simplified(mod(flat, 8), {4, 8}), "i1");
  EXPECT_EQ(simplified(floordiv(flat, 8), {4, 9}), "(i0 + floordiv(i1, 8))");
  EXPECT_EQ(simplified(floordiv(flat, 16), {4, 8}), "floordiv(i0, 2)");
  EXPECT_EQ(simplified(mod(flat, 16), {4, 8}), "(i1 + (mod(i0, 2) * 8))");
  EXPECT_EQ(simplified(floordiv(axis(0), 3) * integer(3) + mod(axis(0), 3), {100}), "i0");
  EXPECT_EQ(simplified(floordiv(floordiv(axis(0), 3), 4), {100}), "floordiv(i0, 12)");
  EXPECT_EQ(simplified(axis(0), {1}), "0");
  EXPECT_EQ(simplified(binary(ExprOp::kMin, axis(0), integer(9)), {10}), "i0");
  EXPECT_EQ(simplified(binary(ExprOp::kLt, axis(0), integer(10)), {10}), "true");
}

TEST(Index, OverflowLeavesTheExpressionAlone) {
  Expr huge = axis(0) * integer(INT64_MAX / 2) * integer(4);
  EXPECT_EQ(simplified(huge, {10}), text(huge));
}

Expr random_index(int depth) {
  const int choice = *rc::gen::inRange(0, depth <= 0 ? 3 : 11);
  if (choice <= 1) return axis(*rc::gen::inRange(0, 3));
  if (choice == 2) return integer(*rc::gen::inRange(-9, 20));
  Expr a = random_index(depth - 1);
  const int64_t constant = *rc::gen::inRange(1, 13);
  switch (choice) {
    case 3:
    case 4:
      return a + random_index(depth - 1);
    case 5:
      return a - random_index(depth - 1);
    case 6:
      return a * integer(*rc::gen::inRange(-6, 13));
    case 7:
      return floordiv(a, constant);
    case 8:
      return mod(a, constant);
    case 9:
      return binary(*rc::gen::element(ExprOp::kMin, ExprOp::kMax), a, random_index(depth - 1));
    default:
      return select(
          binary(*rc::gen::element(ExprOp::kLt, ExprOp::kGe, ExprOp::kEq), a, integer(constant)), a,
          random_index(depth - 1));
  }
}

TEST(Index, SimplifyingChangesNoValue) {
  const bool ok = rc::check([] {
    const Shape extents = {*rc::gen::inRange(1, 5), *rc::gen::inRange(1, 5),
                           *rc::gen::inRange(1, 5)};
    Expr original = random_index(4);
    Expr simple = simplify_index(original, extents);
    RC_LOG() << text(original) << "  ->  " << text(simple) << "  over " << shape_text(extents);
    RC_ASSERT(all_values(original, extents) == all_values(simple, extents));
  });
  EXPECT_TRUE(ok);
}

std::string parsed(std::string_view source) {
  ScalarScope scope;
  scope.lookup = [](const std::string& name, bool attribute) -> Result<Expr> {
    if (attribute) return constant(0.25);
    if (name == "x") return load(0, ScalarKind::kReal, {});
    if (name == "i") return load(1, ScalarKind::kInt, {});
    return fail(ErrorKind::kInput, "unknown operand " + name);
  };
  scope.given = [](const std::string& name) { return name == "min"; };
  scope.string_attribute = [](const std::string&) { return std::string("tanh"); };
  auto expr = parse_scalar(source, scope);
  return expr ? text(*expr) : "error: " + expr.error().text();
}

TEST(ScalarParser, Precedence) {
  EXPECT_EQ(parsed("x + x * 2 - -x"), "((t0[] + (t0[] * 2.0)) - neg(t0[]))");
  EXPECT_EQ(parsed("x > 0 ? x : x * $slope"), "((t0[] > 0.0) ? t0[] : (t0[] * 0.25))");
  EXPECT_EQ(parsed("x > 0 && x < 1 || x == 2"),
            "(((t0[] > 0.0) && (t0[] < 1.0)) || (t0[] == 2.0))");
  EXPECT_EQ(parsed("i // 2 % 3"), "mod(floordiv(t1[], 2), 3)");
  EXPECT_EQ(parsed("min(max(x, 0), 6e0)"), "min(max(t0[], 0.0), 6.0)");
}

TEST(ScalarParser, AttributesFold) {
  EXPECT_EQ(parsed("$mode == 'tanh' ? x : -x"), "t0[]");
  EXPECT_EQ(parsed("given($min) ? x : -x"), "t0[]");
  EXPECT_EQ(parsed("given($max) ? x : -x"), "neg(t0[])");
  EXPECT_EQ(scalar_operands("condition ? x : exp(y) * $a + inf"),
            (std::vector<std::string>{"condition", "x", "y"}));
}

TEST(ScalarParser, ErrorsNameThePlace) {
  EXPECT_EQ(parsed("x +"), "error: scalar expression \"x +\" at 3: unexpected the end");
  EXPECT_EQ(parsed("x # 2"), "error: scalar expression \"x # 2\" at 2: unexpected '#'");
  EXPECT_EQ(parsed("foo(x)"), "error: scalar expression \"foo(x)\" at 0: unknown function foo");
  EXPECT_EQ(parsed("min(x)"), "error: scalar expression \"min(x)\" at 0: min takes 2 arguments");
  EXPECT_EQ(parsed("z"), "error: unknown operand z");
}

TEST(Expr, SubstitutesAxesOnceThoughFoldingLeavesAnOperand) {
  const Expr index = axis(0) * integer(70) + axis(1);
  EXPECT_TRUE(same(substitute_axes(index, {integer(0), axis(0)}), axis(0)));
}

TEST(Simplify, AChainOfExtremesTakesNoTimeToSpeakOf) {
  // 60 of them: a walk that doubles with each would not come back.
  Expr most = load(0, ScalarKind::kInt, {integer(0)});
  for (int i = 1; i < 60; ++i)
    most = binary(ExprOp::kMax, most, load(0, ScalarKind::kInt, {integer(i)}));
  EXPECT_TRUE(same(simplify_index(most, {}), most));
}

}  // namespace
}  // namespace kernelwright::graph

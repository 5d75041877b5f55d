// SPDX-License-Identifier: Apache-2.0
// Products with a reciprocal in place of divisions (families/reciprocal.h), and where they must not
// lose the answer: divisors near both ends of f32, zero, infinity.
#include <gtest/gtest.h>

#include <cmath>

#include "expert/families/pointwise.h"
#include "expert/families/reciprocal.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using graph::constant;
using graph::Expr;
using graph::ExprOp;
using kernelwright::testing::at;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;

Expr quotient(const Expr& a, const Expr& b) {
  return graph::binary(ExprOp::kDiv, a, b);
}

int divisions(const Expr& expr) {
  int count = 0;
  graph::visit(expr, [&](const graph::ExprNode& node) { count += node.op == ExprOp::kDiv; });
  return count;
}

TEST(Reciprocal, OnlyWhatIsSharedAndOnlyOnce) {
  const auto shared = [](const Expr& value) { return !rewrite::axes_used(value, 2)[1]; };
  const Expr own = at(0, {0, 1}), rows = at(1, {0});
  EXPECT_TRUE(divides_by_shared(quotient(own, rows), shared));
  EXPECT_FALSE(divides_by_shared(quotient(own, own), shared));
  EXPECT_FALSE(divides_by_shared(quotient(rows, rows), shared));
  EXPECT_TRUE(divides_by_shared(quotient(own, constant(3)), shared));
  EXPECT_FALSE(divides_by_shared(quotient(own, constant(8)), shared));
  EXPECT_FALSE(divides_by_shared(quotient(own, constant(1e-42)), shared));
  EXPECT_EQ(divisions(with_reciprocals(quotient(own, constant(3)), shared)), 0);
  const Expr made = with_reciprocals(quotient(own, rows), shared);
  EXPECT_EQ(divisions(made), 1);
  EXPECT_FALSE(divides_by_shared(made, shared));
}

TEST(Reciprocal, EveryDivisorOfF32) {
  Stages s;
  const std::vector<double> divisors = {1,     3,    -7e-3, 1e-45,   -3e-41, 1.2e-38,  2e-30,
                                        1e-25, 3e30, 1e36,  -3.4e38, 0,      INFINITY, -0.0};
  const auto rows = static_cast<int64_t>(divisors.size()), length = int64_t{40};
  const int x = s.input({rows, length}), d = s.input({rows});
  s.define(s.output({rows, length}), quotient(at(x, {0, 1}), at(d, {0})));
  graph::HostTensor dividends{s.graph.tensors[0].type, {}},
      given{s.graph.tensors[1].type, divisors};
  for (double& value : given.data) value = static_cast<float>(value);
  for (const double divisor : given.data) {
    for (int64_t i = 0; i < length; ++i) {
      // About as large as the divisor, so that the quotient is of ordinary size.
      const double size = std::isfinite(divisor) && divisor != 0 ? std::abs(divisor) : 1;
      dividends.data.push_back(
          static_cast<float>(static_cast<double>(i * 37 % 23 - 11) * 0.3 * std::min(size, 1e37)));
    }
  }
  const target::MachineModel model = kernelwright::testing::plain_machine();
  const rewrite::FusedGraph fused = rewrite::fuse(s.graph);
  const OpContext context(fused, fused.ops.at(0), model, 2);
  const PointwiseFamily family;
  std::vector<Case> cases;
  for (const Schedule& schedule : enumerate(family.space(context), 1000)) {
    if (!family.legal(context, schedule)) continue;
    ProgramBuilder builder(fused.tensors, "cpu");
    builder.begin_op(fused.ops[0]);
    ASSERT_TRUE(family.emit(context, schedule, builder));
    cases.push_back({schedule_text(schedule), &s.graph, builder.finish()});
    cases.back().bindings = {{0, dividends}, {1, given}};
  }
  EXPECT_EQ(cases.size() % 2, 0u);
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, 1e-6))
    ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace kernelwright::expert

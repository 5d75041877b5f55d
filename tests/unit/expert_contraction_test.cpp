// SPDX-License-Identifier: Apache-2.0
// Ways of the contraction family that only some operands and finishes take.
#include <gtest/gtest.h>

#include <functional>

#include "expert/families/contraction.h"
#include "expert/families/contraction_plan.h"
#include "expert/families/pointwise.h"
#include "program/validate.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using graph::Combiner;
using graph::ExprOp;
using kernelwright::testing::at;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;

// Some of the schedules that are legal and wanted, compiled and run.
void run_some(const Family& family, const Stages& s, const std::string& seen_in_source,
              const std::function<bool(const Schedule&)>& wanted = nullptr) {
  const rewrite::FusedGraph fused = rewrite::fuse(s.graph);
  ASSERT_EQ(fused.ops.size(), 1U);
  const target::MachineModel model = kernelwright::testing::plain_machine();
  const OpContext context(fused, fused.ops[0], model, 2, target::Policy::kStrict);
  ASSERT_TRUE(family.accepts(context));
  std::vector<Schedule> legal;
  for (const Schedule& schedule : enumerate(family.space(context), 4000))
    if (family.legal(context, schedule) && (!wanted || wanted(schedule))) legal.push_back(schedule);
  ASSERT_FALSE(legal.empty());
  std::vector<Case> cases;
  for (size_t i = 0; i < 6; ++i) {
    const Schedule& schedule = legal[i * (legal.size() - 1) / 5];
    ProgramBuilder builder(fused.tensors, "cpu");
    builder.begin_op(fused.ops[0]);
    ASSERT_TRUE(family.emit(context, schedule, builder));
    cases.push_back({schedule_text(schedule), &s.graph, builder.finish()});
    const auto valid = program::validate(cases.back().candidate.program);
    EXPECT_TRUE(valid.has_value()) << valid.error().text();
    EXPECT_NE(cases.back().candidate.source.find(seen_in_source), std::string::npos)
        << cases.back().candidate.source;
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases))
    ADD_FAILURE() << failure;
}

TEST(Contraction, RowsThatLieSideBySideArePackedSideBySide) {
  Stages s;
  const int a = s.input({37, 53}), b = s.input({70, 37});
  s.reduce(s.output({53, 70}), Combiner::kSum, {37}, at(a, {2, 0}) * at(b, {1, 2}));
  run_some(ContractionFamily(), s, "const int64_t live =", [](const Schedule& schedule) {
    return schedule.at("direct_a") == 0;
  });
}

// A logarithm of an exponential on rows of eleven columns.
TEST(Contraction, CostlyFinishesAreMadeInWholeVectors) {
  Stages s;
  const int x = s.input({2, 3, 5, 11}), w = s.weight({6, 3}), t = s.temporary({2, 6, 5, 11}),
            c = s.weight({6});
  s.reduce(t, Combiner::kSum, {3}, at(x, {0, 4, 2, 3}) * at(w, {1, 4}));
  const graph::Expr value = at(t, {0, 1, 2, 3}) + at(c, {1});
  s.define(s.output({2, 6, 5, 11}),
           graph::unary(ExprOp::kLog, graph::unary(ExprOp::kExp, value) + graph::constant(1)));
  run_some(ContractionFamily(), s, "row[l] = ");
}

// The output's rows begin and end anywhere.
TEST(Stream, LinesOfRowsThatAreNotWholeLines) {
  for (const graph::Shape& shape : {graph::Shape{3, 301}, {1000}, {2, 2, 777}}) {
    Stages s;
    std::vector<int> axes;
    for (size_t a = 0; a < shape.size(); ++a) axes.push_back(static_cast<int>(a));
    // Rows of another length are read: they do not merge into one.
    graph::Shape wider = shape;
    wider.back() += 5;
    const int x = s.input(wider);
    s.define(s.output(shape), at(x, axes) + graph::constant(1));
    run_some(PointwiseFamily(), s, "kw_stream(&",
             [](const Schedule& schedule) { return schedule.at("stream") != 0; });
  }
}

}  // namespace
}  // namespace kernelwright::expert

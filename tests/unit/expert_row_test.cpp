// SPDX-License-Identifier: Apache-2.0
// The row family's ways on the CPU (families/row.h): wide columns, sums by blocks of rows, rows
// asked for ahead. Every legal schedule compiled and run against the interpreter.
#include <gtest/gtest.h>

#include <cmath>

#include "expert/families/row.h"
#include "expert/families/row_plan.h"
#include "program/validate.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using graph::Combiner;
using graph::constant;
using graph::Expr;
using graph::ExprOp;
using kernelwright::testing::at;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;

const RowFamily& row_family() {
  static const RowFamily it;
  return it;
}

// Sum over the middle axis, with what follows from it per column.
Stages middle_sum(int64_t batch, int64_t length, int64_t width,
                  Combiner combiner = Combiner::kSum) {
  Stages s;
  const int x = s.input({batch, length, width});
  s.reduce(s.output({batch, width}), combiner, {length}, at(x, {0, 2, 1}) * constant(0.5),
           graph::reduced(graph::ScalarKind::kReal) + constant(1));
  return s;
}

Stages softmax_of(int64_t rows, int64_t length) {
  Stages s;
  const int x = s.input({rows, length}), most = s.temporary({rows}), sum = s.temporary({rows});
  const auto power = [&] { return graph::unary(ExprOp::kExp, at(x, {0, 1}) - at(most, {0})); };
  s.reduce(most, Combiner::kMax, {length}, at(x, {0, 1}));
  s.reduce(sum, Combiner::kSum, {length}, power());
  s.define(s.output({rows, length}), graph::binary(ExprOp::kDiv, power(), at(sum, {0})));
  return s;
}

// (x + 1000 - mean) / deviation along the last axis, the squares of the deviations given as well.
Stages norm_of(int64_t rows, int64_t length) {
  Stages s;
  const int x = s.input({rows, length}), mean = s.temporary({rows});
  const int squares = s.output({rows});
  const auto value = [&] { return at(x, {0, 1}) + constant(1000); };
  const auto off = [&] { return value() - at(mean, {0}); };
  const auto sum = graph::reduced(graph::ScalarKind::kReal);
  const auto count = constant(static_cast<double>(length));
  s.reduce(mean, Combiner::kSum, {length}, value(), graph::binary(ExprOp::kDiv, sum, count));
  s.reduce(squares, Combiner::kSum, {length}, off() * off());
  s.define(s.output({rows, length}),
           graph::binary(ExprOp::kDiv, off(),
                         graph::unary(ExprOp::kSqrt, at(squares, {0}) + constant(1e-5))));
  return s;
}

Stages row_sum(int64_t rows, int64_t length) {
  Stages s;
  const int x = s.input({rows, length});
  s.reduce(s.output({rows}), Combiner::kSum, {length}, at(x, {0, 1}) * at(x, {0, 1}));
  return s;
}

// The place of the best along the middle axis, or along the last, of values with many equals.
Stages best_place(int64_t batch, int64_t length, int64_t width, Combiner combiner, bool last) {
  Stages s;
  const int x =
      s.input(last ? graph::Shape{batch, width, length} : graph::Shape{batch, length, width});
  s.reduce(s.output({batch, width}, graph::DType::kI64), combiner, {length},
           at(x, last ? std::vector<int>{0, 1, 2} : std::vector<int>{0, 2, 1}) * constant(2));
  return s;
}

// Few distinct values, NaN among them, and rows where everything is infinite.
std::map<int, graph::HostTensor> many_equals(const Stages& s) {
  graph::HostTensor x{s.graph.tensors[0].type, {}};
  const int64_t count = x.type.elements();
  for (int64_t i = 0; i < count; ++i)
    x.data.push_back(i < count / 5   ? -INFINITY
                     : i < count / 3 ? INFINITY
                     : i % 61 == 7   ? NAN
                                     : static_cast<double>(i * 7919 % 13) - 6);
  return {{0, std::move(x)}};
}

// Rows of a transposed tensor: they do not lie one behind another.
Stages column_softmax() {
  Stages s;
  const int x = s.input({40, 9}), most = s.temporary({9});
  s.reduce(most, Combiner::kMax, {40}, at(x, {1, 0}));
  s.define(s.output({9, 40}), at(x, {1, 0}) - at(most, {0}));
  return s;
}

std::vector<int64_t> row_choices(const Stages& s, const std::string& name) {
  static const target::MachineModel model = kernelwright::testing::plain_machine();
  const rewrite::FusedGraph fused = rewrite::fuse(s.graph);
  const OpContext context(fused, fused.ops.at(0), model, 2);
  for (const Knob& knob : row_family().space(context))
    if (knob.name == name) return knob.choices;
  return {};
}

TEST(RowFamily, AsksAheadWhereTheNextRowIsTheNextInMemory) {
  EXPECT_EQ(row_choices(softmax_of(7, 100), "ahead"), std::vector<int64_t>({1, 0}));
  EXPECT_EQ(row_choices(column_softmax(), "ahead"), std::vector<int64_t>({0}));
}

TEST(RowFamily, EverySchedule) {
  std::vector<std::pair<std::string, Stages>> all;
  all.emplace_back("middle 70", middle_sum(2, 37, 70));  // blocks of rows, and what is left of them
  all.emplace_back("middle 700", middle_sum(2, 16, 700));
  all.emplace_back("middle short", middle_sum(3, 9, 40));
  all.emplace_back("middle maximum", middle_sum(2, 33, 50, Combiner::kMax));
  all.emplace_back("softmax", softmax_of(5, 700));
  all.emplace_back("squares", row_sum(6, 1300));
  all.emplace_back("norm", norm_of(4, 333));
  for (const bool last : {false, true}) {
    const std::string which = last ? "rows" : "columns";
    all.emplace_back("argmax of " + which, best_place(2, 67, 70, Combiner::kArgMax, last));
    all.emplace_back("argmin of " + which, best_place(3, 21, 33, Combiner::kArgMin, last));
  }
  const target::MachineModel model = kernelwright::testing::plain_machine();
  std::vector<Case> cases;
  std::map<std::string, int> seen;
  for (const auto& [name, s] : all) {
    const rewrite::FusedGraph fused = rewrite::fuse(s.graph);
    ASSERT_EQ(fused.ops.size(), 1U) << name;
    const OpContext context(fused, fused.ops[0], model, 2);
    ASSERT_TRUE(row_family().accepts(context)) << name;
    for (const Schedule& schedule : enumerate(row_family().space(context), 1000)) {
      if (!row_family().legal(context, schedule)) continue;
      EXPECT_GT(row_family().predict_seconds(context, schedule), 0);
      ProgramBuilder builder(fused.tensors, "cpu");
      builder.begin_op(fused.ops[0]);
      ASSERT_TRUE(row_family().emit(context, schedule, builder));
      cases.push_back({name + " | " + schedule_text(schedule), &s.graph, builder.finish()});
      if (name.rfind("arg", 0) == 0) cases.back().bindings = many_equals(s);
      seen["ahead"] +=
          cases.back().candidate.source.find("__builtin_prefetch") != std::string::npos;
      seen["blocks"] += cases.back().candidate.source.find("unroll 8") != std::string::npos;
      seen["wide"] += schedule.at("width") > 256;
      seen["moments"] +=
          cases.back().candidate.source.find("kw_squares_about(") != std::string::npos;
      seen["reciprocal"] += schedule.at("reciprocal");
    }
  }
  EXPECT_GT(seen["ahead"], 5);
  EXPECT_GT(seen["blocks"], 5);
  EXPECT_GT(seen["wide"], 1);
  EXPECT_GT(seen["moments"], 5);
  EXPECT_GT(seen["reciprocal"], 5);
  for (const Case& c : cases) {
    const auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, 2e-5))
    ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace kernelwright::expert

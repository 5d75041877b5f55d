// SPDX-License-Identifier: Apache-2.0
// Rows that several blocks share on a GPU, by chosen schedules, emulated: few threads, short rows.
#include <gtest/gtest.h>

#include "expert/families/cuda/row.h"
#include "program/validate.h"
#include "rewrite/fuse.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using graph::axis;
using graph::Combiner;
using graph::constant;
using graph::Expr;
using graph::ExprOp;
using graph::integer;
using graph::ScalarKind;
using kernelwright::testing::at;
using kernelwright::testing::at_index;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;

// A graph that fuses into one row group, made by one schedule of the CUDA row family.
Case made(const std::string& name, const graph::StageGraph& graph, const Schedule& wanted,
          bool small = false) {
  const rewrite::FusedGraph fused =
      rewrite::fuse(graph, {.few_rows = 1, .slice_rows = false, .siblings = true});
  target::MachineModel model = kernelwright::testing::plain_machine("cuda");
  // One multiprocessor that holds some four blocks: groups take rows in turn.
  if (small) model.multiprocessors = 1, model.shared_bytes = 13 << 10;
  EXPECT_EQ(fused.ops.size(), 1u) << name;
  const OpContext context(fused, fused.ops[0], model, 2);
  const cuda::Row family;
  Schedule schedule;
  for (const Knob& knob : family.space(context)) schedule[knob.name] = knob.initial;
  for (const auto& [knob, value] : wanted) schedule[knob] = value;
  ProgramBuilder builder(fused.tensors, "cuda");
  builder.begin_op(fused.ops[0]);
  EXPECT_TRUE(family.emit(context, schedule, builder).has_value()) << name;
  return {name + " | " + schedule_text(schedule), &graph, builder.finish()};
}

void expect_right(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, 2e-5))
    ADD_FAILURE() << failure;
}

Stages softmax(int64_t rows, int64_t length) {
  Stages s;
  const int x = s.input({rows, length}), m = s.temporary({rows, 1}),
            e = s.temporary({rows, length}), t = s.temporary({rows, 1});
  const auto first = [](int tensor) { return at_index(tensor, {axis(0), integer(0)}); };
  s.reduce(m, Combiner::kMax, {length}, at_index(x, {axis(0), axis(2)}));
  s.define(e, graph::unary(ExprOp::kExp, at(x, {0, 1}) - first(m)));
  s.reduce(t, Combiner::kSum, {length}, at_index(e, {axis(0), axis(2)}));
  s.define(s.output({rows, length}), graph::binary(ExprOp::kDiv, at(e, {0, 1}), first(t)));
  return s;
}

// A norm with scale and shift along the row; the means of the rows are handed out as well.
Stages norm(int64_t rows, int64_t length) {
  Stages s;
  const int x = s.input({rows, length}), w = s.weight({length}), b = s.weight({length});
  const int m = s.output({rows}), v = s.temporary({rows});
  const Expr share =
      graph::reduced(ScalarKind::kReal) * constant(1.0 / static_cast<double>(length));
  s.reduce(m, Combiner::kSum, {length}, at(x, {0, 1}), share);
  const Expr centred = at(x, {0, 1}) - at(m, {0});
  s.reduce(v, Combiner::kSum, {length}, centred * centred, share);
  s.define(s.output({rows, length}),
           (at(x, {0, 1}) - at(m, {0})) * graph::unary(ExprOp::kRsqrt, at(v, {0})) * at(w, {1}) +
               at(b, {1}));
  return s;
}

Schedule shared(int64_t cluster, int64_t threads, int64_t vector, int64_t hold) {
  return {{"cluster", cluster}, {"threads", threads}, {"vector", vector}, {"hold", hold}};
}

TEST(SharedRows, OfAClusterAreTheSame) {
  const Stages smooth = softmax(2, 512), normal = norm(2, 500);
  expect_right({made("softmax", smooth.graph, shared(2, 32, 4, 1)),
                made("softmax", smooth.graph, shared(4, 64, 1, 0)),
                made("norm", normal.graph, shared(2, 64, 4, 3)),
                made("norm", normal.graph, shared(2, 64, 2, 2))});
}

TEST(SharedRows, AClusterIsAskedFor) {
  const Stages smooth = softmax(2, 1024);
  const auto program = made("softmax", smooth.graph, shared(4, 128, 4, 1)).candidate.program;
  EXPECT_EQ(program.requires_features, std::vector<std::string>{"cluster"});
  const auto& launch = std::get<program::Launch>(program.run.at(0).action);
  ASSERT_EQ(launch.cluster.size(), 2u);
  EXPECT_EQ(launch.cluster[1].text, "4");
  EXPECT_EQ(launch.grid[1].text, "4");
}

Schedule grouped(int64_t blocks, int64_t threads, int64_t vector, int64_t hold) {
  return {{"group", blocks}, {"threads", threads}, {"vector", vector}, {"hold", hold}};
}

TEST(SharedRows, OfAGroupAreTheSame) {
  const Stages smooth = softmax(3, 512), normal = norm(3, 500);
  expect_right({made("softmax", smooth.graph, grouped(2, 64, 4, 1), true),
                made("softmax", smooth.graph, grouped(3, 32, 1, 3), true),
                made("norm", normal.graph, grouped(3, 64, 2, 1), true),
                made("norm", normal.graph, grouped(2, 32, 2, 3), true),
                made("norm", normal.graph, grouped(2, 64, 1, 0), true)});
}

TEST(SharedRows, AGroupIsLaunchedAsOne) {
  const Stages normal = norm(3, 500);
  const auto program = made("norm", normal.graph, grouped(2, 64, 2, 1), true).candidate.program;
  EXPECT_EQ(program.requires_features, std::vector<std::string>{"cooperative"});
  const auto& launch = std::get<program::Launch>(program.run.at(0).action);
  EXPECT_TRUE(launch.cooperative);
  // Two groups of two blocks, as many as are resident for sure.
  EXPECT_EQ(launch.grid.at(0).text, "4");
}

// Schedules that would wait for ever, or that nobody needs, are refused.
TEST(SharedRows, WhatDoesNotFitIsNotLegal) {
  const Stages normal = norm(4, 1 << 20);
  const rewrite::FusedGraph fused =
      rewrite::fuse(normal.graph, {.few_rows = 1, .slice_rows = false});
  target::MachineModel model = kernelwright::testing::plain_machine("cuda");
  const cuda::Row family;
  const auto legal = [&](const Schedule& wanted) {
    const OpContext context(fused, fused.ops.at(0), model, 2);
    Schedule schedule;
    for (const Knob& knob : family.space(context)) schedule[knob.name] = knob.initial;
    for (const auto& [knob, value] : wanted) schedule[knob] = value;
    return family.legal(context, schedule);
  };
  EXPECT_TRUE(legal(grouped(128, 512, 4, 1)));
  EXPECT_TRUE(legal(grouped(256, 512, 4, 1)));
  EXPECT_FALSE(legal(grouped(8, 512, 4, 1))) << "more than registers hold";
  EXPECT_FALSE(legal({{"group", 128}, {"cluster", 2}, {"threads", 512}, {"vector", 4}}));
  model.multiprocessors = 16;
  EXPECT_FALSE(legal(grouped(128, 512, 4, 1))) << "more blocks than are resident";
}

}  // namespace
}  // namespace kernelwright::expert

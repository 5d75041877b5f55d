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

// Multiprocessors and bytes of shared memory of each; none: a large GPU.
struct Size {
  int multiprocessors = 0;
  int64_t shared_bytes = 0;
};
// One multiprocessor that holds some four blocks: groups take rows in turn.
constexpr Size kSmall = {1, 13 << 10};
// Room for four blocks that have a multiprocessor each.
constexpr Size kFour = {4, 13 << 10};

// A graph that fuses into one row group, made by one schedule of the CUDA row family.
Case made(const std::string& name, const graph::StageGraph& graph, const Schedule& wanted,
          const Size& size = {}) {
  const rewrite::FusedGraph fused =
      rewrite::fuse(graph, {.few_rows = 1, .slice_rows = false, .siblings = true});
  target::MachineModel model = kernelwright::testing::plain_machine("cuda");
  if (size.multiprocessors > 0)
    model.multiprocessors = size.multiprocessors, model.shared_bytes = size.shared_bytes;
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

void expect_shared_right(const std::vector<Case>& cases) {
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
  expect_shared_right({made("softmax", smooth.graph, shared(2, 32, 4, 1)),
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
  expect_shared_right({made("softmax", smooth.graph, grouped(2, 64, 4, 1), kSmall),
                       made("softmax", smooth.graph, grouped(3, 32, 1, 3), kSmall),
                       made("norm", normal.graph, grouped(3, 64, 2, 1), kSmall),
                       made("norm", normal.graph, grouped(2, 32, 2, 3), kSmall),
                       made("norm", normal.graph, grouped(2, 64, 1, 0), kSmall)});
}

TEST(SharedRows, AGroupIsLaunchedAsOne) {
  const Stages normal = norm(3, 500);
  const auto program = made("norm", normal.graph, grouped(2, 64, 2, 1), kSmall).candidate.program;
  EXPECT_EQ(program.requires_features, std::vector<std::string>{"cooperative"});
  const auto& launch = std::get<program::Launch>(program.run.at(0).action);
  EXPECT_TRUE(launch.cooperative);
  // Two groups of two blocks, as many as are resident for sure.
  EXPECT_EQ(launch.grid.at(0).text, "4");
}

Schedule with(Schedule schedule, const Schedule& more) {
  for (const auto& [knob, value] : more) schedule[knob] = value;
  return schedule;
}

// Two groups take five rows in turn; parts and steps do not divide the row.
TEST(SharedRows, WhatAllRowsShareStaysOnTheChip) {
  const Stages normal = norm(5, 500), wide = norm(3, 12000);
  const Schedule stay = {{"stay", 1}};
  const Size little = {4, (3 << 10) + 1200}, tight = {2, (3 << 10) + (32 << 10)};
  expect_shared_right(
      {made("norm", normal.graph, with(grouped(2, 32, 2, 1), stay), kFour),
       made("registers", normal.graph, with(grouped(2, 32, 2, 1), stay), little),
       made("half", normal.graph, with(grouped(2, 32, 2, 3), stay), kFour),
       made("loaded again", normal.graph, with(grouped(2, 64, 1, 0), stay), kFour),
       made("all three places", wide.graph, with(grouped(2, 512, 1, 2), stay), tight)});
}

// Rows of two axes: a scale per channel, and a half-precision shift per point.
TEST(SharedRows, WhatStaysMayBeOfOtherShapes) {
  Stages s;
  const int x = s.input({3, 5, 120}), w = s.weight({5}), b = s.weight({5, 120}, graph::DType::kF16),
            m = s.temporary({3});
  s.reduce(m, Combiner::kSum, {5, 120}, at(x, {0, 1, 2}),
           graph::reduced(ScalarKind::kReal) * constant(1.0 / 600));
  s.define(s.output({3, 5, 120}), (at(x, {0, 1, 2}) - at(m, {0})) * at(w, {1}) + at(b, {1, 2}));
  const Schedule stay = {{"stay", 1}};
  std::vector<Case> cases = {
      made("all loads", s.graph, with(grouped(2, 32, 1, 1), {{"stay", 1}}), kFour),
      made("vectors alone", s.graph, with(grouped(2, 32, 4, 1), stay), kFour),
      made("three parts", s.graph, with(grouped(3, 32, 4, 3), stay), {6, 13 << 10})};
  for (Case& c : cases) {
    c.tolerance = 1e-3;  // the interpreter's shift is not rounded to half precision
    EXPECT_NE(c.candidate.source.find("d0 = "), std::string::npos) << c.name;
  }
  // A vector of eight bytes is a register pair, not one per element.
  EXPECT_NE(cases[1].candidate.source.find("kw_vec<kw_f16, 4>* d0"), std::string::npos);
  expect_shared_right(cases);
}

// The loads of weights stand before the loop over rows, and nowhere else.
TEST(SharedRows, WhatStaysIsLoadedOnce) {
  const Stages normal = norm(5, 512);
  const auto source = [&](int64_t stay) {
    return made("norm", normal.graph, with(grouped(2, 32, 4, 1), {{"stay", stay}}), kFour)
        .candidate.source;
  };
  const auto loads_in_turn = [](const std::string& text) {
    const std::string word = "kw_load_const<";
    int count = 0;
    for (size_t at = text.find("for (int row"); (at = text.find(word, at)) != std::string::npos;)
      at += word.size(), ++count;
    return count;
  };
  EXPECT_GT(loads_in_turn(source(0)), 0);
  EXPECT_EQ(loads_in_turn(source(1)), 0);
  EXPECT_NE(source(1).find("kw_load_const<"), std::string::npos);
}

TEST(SharedRows, TheNextRowIsCopiedToThePlaceOfThisOne) {
  const Stages smooth = softmax(5, 512), normal = norm(5, 504);
  const Schedule copy = {{"ahead", 1}};
  const std::vector<Case> cases = {
      made("softmax", smooth.graph, with(grouped(2, 64, 4, 2), copy), kSmall),
      made("norm", normal.graph, with(grouped(3, 32, 4, 2), copy), {6, 13 << 10}),
      made("stay", normal.graph, with(grouped(2, 32, 4, 2), {{"ahead", 1}, {"stay", 1}}), kFour),
      made("registers", normal.graph, with(grouped(2, 32, 4, 2), {{"ahead", 1}, {"stay", 1}}),
           {4, (3 << 10) + 2100})};
  for (const Case& c : cases) {
    EXPECT_NE(c.candidate.source.find("kw_cp_async<16>("), std::string::npos) << c.name;
    EXPECT_EQ(c.candidate.source.find("kw_load_once"), std::string::npos) << c.name;
    // While the group meets, half of it is on its way.
    const size_t asked = c.candidate.source.find("kw_prefetch_l2(");
    EXPECT_LT(asked, c.candidate.source.find("kw_offer(")) << c.name;
  }
  expect_shared_right(cases);
}

int exchanges(const Case& c) {
  int count = 0;
  for (size_t at = 0; (at = c.candidate.source.find("kw_await<", at)) != std::string::npos;)
    at += 1, ++count;
  return count;
}

TEST(SharedRows, AMeanAndItsSquaresTakeOneExchange) {
  const Stages normal = norm(3, 500), smooth = softmax(3, 512);
  const std::vector<Case> cases = {
      made("norm", normal.graph, grouped(3, 64, 2, 1), kSmall),
      made("half", normal.graph, grouped(2, 32, 2, 3), kSmall),
      made("all", normal.graph, with(grouped(2, 32, 4, 2), {{"ahead", 1}, {"stay", 1}}), kFour)};
  for (const Case& c : cases) EXPECT_EQ(exchanges(c), 1) << c.name;
  // What is not held would be loaded once more.
  EXPECT_EQ(exchanges(made("norm", normal.graph, grouped(3, 64, 2, 0), kSmall)), 2);
  // Nothing to join: a maximum and what follows from it.
  EXPECT_EQ(exchanges(made("softmax", smooth.graph, grouped(2, 64, 4, 1), kSmall)), 2);
  expect_shared_right(cases);
}

// A row far from zero whose parts lie far apart: what cancels must not be what counts.
TEST(SharedRows, OneExchangeIsAsExact) {
  const Stages normal = norm(3, 500);
  graph::HostTensor x;
  x.type.dtype = graph::DType::kF32;
  x.type.shape = {3, 500};
  for (int i = 0; i < 1500; ++i) {
    // Steps of 1/16 stay exact in fp32; the second row has one part far away, the third none.
    const int row = i / 500, at = i % 500;
    const double noise = (i * 37 % 101) / 16.0;
    x.data.push_back(row == 0 ? 1e5 + noise : row == 1 ? (at < 250 ? -6e4 : 6e4) + noise : noise);
  }
  std::vector<Case> cases;
  for (int64_t blocks : {2, 3}) {
    cases.push_back(made("far", normal.graph, grouped(blocks, 32, 2, 1), kSmall));
    cases.back().bindings = {{0, x}};
  }
  expect_shared_right(cases);
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
  EXPECT_TRUE(legal(with(grouped(128, 512, 4, 2), {{"stay", 1}, {"ahead", 1}})));
  EXPECT_FALSE(legal(with(grouped(128, 512, 4, 1), {{"ahead", 1}}))) << "no place to copy to";
  EXPECT_FALSE(legal({{"threads", 512}, {"vector", 4}, {"stay", 1}})) << "no rows in turn";
  EXPECT_FALSE(legal({{"threads", 512}, {"vector", 4}, {"ahead", 1}})) << "no rows in turn";
  EXPECT_FALSE(legal({{"group", 128}, {"cluster", 2}, {"threads", 512}, {"vector", 4}}));
  model.multiprocessors = 16;
  EXPECT_FALSE(legal(grouped(128, 512, 4, 1))) << "more blocks than are resident";
}

}  // namespace
}  // namespace kernelwright::expert

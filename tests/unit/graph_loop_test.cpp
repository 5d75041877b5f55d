// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "graph/analysis.h"
#include "graph/interpreter.h"
#include "graph/loop.h"
#include "rewrite/fuse.h"
#include "rewrite/rules.h"
#include "support/compiled.h"

namespace kernelwright::graph {
namespace {

using kernelwright::testing::at;
using kernelwright::testing::at_index;
using kernelwright::testing::Stages;

// state[t] = half[t] + x[t], half[t] = state[t - 1] / 2, state[-1] = start.
struct Halving {
  Stages s;
  int x = s.input({4, 2}), start = s.input({2});
  int half = s.temporary({4, 2}), state = s.output({4, 2});

  Halving() {
    const Expr before = at_index(state, {axis(0) - integer(1), axis(1)});
    s.define(half, select(binary(ExprOp::kGt, axis(0), integer(0)), before, at(start, {1})) *
                       constant(0.5));
    s.define(state, at(half, {0, 1}) + at(x, {0, 1}));
    for (Stage& stage : s.graph.stages) stage.loop = 3;
  }
  std::map<int, HostTensor> bindings() const {
    return {{x, {s.graph.tensors[0].type, {1, 2, 3, 4, 5, 6, 7, 8}}},
            {start, {s.graph.tensors[1].type, {8, 16}}}};
  }
};

TEST(Loop, IsInterpretedStepByStep) {
  const Halving h;
  const auto all = interpret(h.s.graph, h.bindings());
  ASSERT_TRUE(all.has_value()) << all.error().text();
  EXPECT_EQ((*all)[static_cast<size_t>(h.state)].data,
            (std::vector<double>{5, 10, 5.5, 9, 7.75, 10.5, 10.875, 13.25}));
}

TEST(Loop, ReadingWhatIsNotMadeYetIsAnError) {
  // A guard is missing: step -1.
  Halving unguarded;
  unguarded.s.graph.stages[0].body = at_index(unguarded.state, {axis(0) - integer(1), axis(1)});
  const auto outside = interpret(unguarded.s.graph, unguarded.bindings());
  ASSERT_FALSE(outside.has_value());
  EXPECT_NE(outside.error().text().find("out of range"), std::string::npos);
  // The step at hand of what a later stage makes, a step ahead, and a loop torn apart.
  Halving early, ahead, torn;
  early.s.graph.stages[0].body = at(early.state, {0, 1});
  ahead.s.graph.stages[1].body = at_index(ahead.half, {axis(0) + integer(1), axis(1)});
  torn.s.define(torn.s.output({2}), at(torn.start, {0}));
  std::swap(torn.s.graph.stages[1], torn.s.graph.stages[2]);
  for (const Halving* h : {&early, &ahead, &torn}) {
    EXPECT_FALSE(check_loops(h->s.graph.stages, h->s.graph.tensors).has_value());
    auto bound = h->bindings();
    EXPECT_FALSE(interpret(h->s.graph, std::move(bound)).has_value());
  }
}

TEST(Loop, WhatOnlyTheNextStepReadsIsAlive) {
  // state is a temporary here that only `half` reads, of which the last is handed back.
  Halving h;
  h.s.graph.tensors[static_cast<size_t>(h.state)].role = TensorRole::kTemporary;
  h.s.define(h.s.output({2}), at_index(h.half, {integer(3), axis(0)}));
  const int fed = h.s.temporary({4, 2});
  h.s.define(fed, at(h.x, {0, 1}) * constant(2));
  std::rotate(h.s.graph.stages.begin(), h.s.graph.stages.end() - 1, h.s.graph.stages.end());
  h.s.graph.stages[2].body = at(h.half, {0, 1}) + at(fed, {0, 1});
  const auto live = live_tensors(h.s.graph.stages, h.s.graph.tensors);
  EXPECT_TRUE(live[static_cast<size_t>(h.state)]);
  EXPECT_TRUE(live[static_cast<size_t>(fed)]);
}

TEST(Loop, FusesWithinAStepAlone) {
  Halving h;
  h.s.define(h.s.output({2}), at_index(h.state, {integer(3), axis(0)}) * constant(3));
  const auto fused = rewrite::fuse(h.s.graph);
  ASSERT_EQ(fused.ops.size(), 2u);
  EXPECT_EQ(fused.ops[0].anchor, rewrite::Anchor::kLoop);
  EXPECT_EQ(fused.ops[0].steps, 4);
  EXPECT_EQ(fused.ops[0].stages.size(), 1u);
  EXPECT_EQ(fused.ops[0].outputs, std::vector<int>{h.state});
  EXPECT_EQ(fused.ops[0].inputs, (std::vector<int>{h.start, h.x}));
  EXPECT_EQ(rewrite::fuse(h.s.graph, {.enabled = false}).ops[0].stages.size(), 2u);
  // half is not moved to where it is read a step later.
  Halving crossed;
  crossed.s.graph.stages.pop_back();
  crossed.s.define(crossed.state,
                   select(binary(ExprOp::kGt, axis(0), integer(0)),
                          at_index(crossed.half, {axis(0) - integer(1), axis(1)}), constant(0)));
  crossed.s.graph.stages.back().loop = 3;
  EXPECT_EQ(rewrite::fuse(crossed.s.graph).ops[0].stages.size(), 2u);
}

TEST(Loop, RulesLeaveItAlone) {
  Halving h;
  Expr& body = h.s.graph.stages[1].body;
  body = unary(ExprOp::kNeg, unary(ExprOp::kNeg, body));
  rewrite::RuleOptions options;
  options.always = true;
  const auto out = rewrite::apply_rules(h.s.graph, options);
  EXPECT_TRUE(out.applied.empty());
  EXPECT_TRUE(check_loops(out.graph.stages, out.graph.tensors).has_value());
}

TEST(Loop, AProductWithTheStateIsAContraction) {
  Stages s;
  const int w = s.weight({5, 5}), start = s.input({3, 5}), state = s.output({7, 3, 5});
  s.reduce(state, Combiner::kSum, {5},
           select(binary(ExprOp::kGt, axis(0), integer(0)),
                  at_index(state, {axis(0) - integer(1), axis(1), axis(3)}), at(start, {1, 3})) *
               at(w, {2, 3}));
  s.graph.stages[0].loop = 0;
  const Work work = count_work(s.graph);
  EXPECT_EQ(work.contraction_flops, 2.0 * 7 * 3 * 5 * 5);
  EXPECT_EQ(work.bytes, 4.0 * (25 + 15 + 105));
}

}  // namespace
}  // namespace kernelwright::graph

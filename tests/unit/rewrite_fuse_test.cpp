// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "rewrite/contraction.h"
#include "rewrite/fuse.h"
#include "support/compiled.h"

namespace kernelwright::rewrite {
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
using kernelwright::testing::Stages;

Expr exp_of(const Expr& x) {
  return graph::unary(ExprOp::kExp, x);
}

TEST(Fuse, OneKernelPerStageWhenDisabled) {
  Stages s;
  const int x = s.input({4}), t = s.temporary({4});
  s.define(t, at(x, {0}) + constant(1));
  s.define(s.output({4}), at(t, {0}) * constant(2));
  EXPECT_EQ(fuse(s.graph, {.enabled = false}).ops.size(), 2u);
  EXPECT_EQ(fuse(s.graph).ops.size(), 1u);
}

TEST(Fuse, EpilogueGoesThroughAReshapeAndAPermutation) {
  Stages s;
  const int x = s.input({2, 5, 12}), w = s.weight({16, 12}), y = s.temporary({2, 5, 16});
  s.reduce(y, Combiner::kSum, {12}, at(x, {0, 1, 3}) * at(w, {2, 3}));
  s.define(s.output({2, 4, 5, 4}),
           at_index(y, {axis(0), axis(2), axis(1) * integer(4) + axis(3)}) + constant(1));
  const FusedGraph fused = fuse(s.graph);
  ASSERT_EQ(fused.ops.size(), 1u);
  EXPECT_EQ(fused.ops[0].anchor, Anchor::kContraction);
}

// Channels first, a norm and a linear layer over channels last, and back again: nothing but the
// three anchors, whether the transposed tensor has one reader or several.
TEST(Fuse, TransposesAreNoKernels) {
  for (const bool residual : {false, true}) {
    Stages s;
    const int64_t batch = 2, points = 10, channels = 6, wide = 12;
    const int x = s.input({batch, channels, points}), filter = s.weight({channels, channels}),
              expand = s.weight({wide, channels});
    const int mixed = s.temporary({batch, channels, points}),
              last = s.temporary({batch, points, channels}), mean = s.temporary({batch, points}),
              centred = s.temporary({batch, points, channels}),
              wider = s.temporary({batch, points, wide}),
              first = s.temporary({batch, wide, points});
    s.reduce(mixed, Combiner::kSum, {channels}, at(x, {0, 3, 2}) * at(filter, {1, 3}));
    s.define(last, at(mixed, {0, 2, 1}));
    s.reduce(mean, Combiner::kSum, {channels}, at(last, {0, 1, 2}));
    s.define(centred, at(last, {0, 1, 2}) - at(mean, {0, 1}));
    s.reduce(wider, Combiner::kSum, {channels}, at(centred, {0, 1, 3}) * at(expand, {2, 3}));
    s.define(first, at(wider, {0, 2, 1}));
    s.define(s.output({batch, wide, points}), at(first, {0, 1, 2}) * constant(2));
    if (residual) s.define(s.output({batch, channels, points}), at(centred, {0, 2, 1}));
    const FusedGraph fused = fuse(s.graph);
    size_t anchors = 0;
    for (const FusedOp& op : fused.ops) {
      if (op.anchor != Anchor::kPointwise) ++anchors;
    }
    EXPECT_EQ(anchors, 3u);
    EXPECT_EQ(fused.ops.size(), 3u) << "with residual: " << residual;
  }
}

TEST(Fuse, AnAnchorWithTwoReadersIsStored) {
  Stages s;
  const int x = s.input({6, 8}), w = s.weight({8, 8}), y = s.temporary({6, 8});
  s.reduce(y, Combiner::kSum, {8}, at(x, {0, 2}) * at(w, {2, 1}));
  s.define(s.output({6, 8}), exp_of(at(y, {0, 1})));
  s.define(s.output({8, 6}), at(y, {1, 0}));
  const FusedGraph fused = fuse(s.graph);
  size_t reductions = 0;
  for (const FusedOp& op : fused.ops) {
    for (const auto& stage : op.stages) reductions += stage.combiner != Combiner::kNone ? 1 : 0;
  }
  EXPECT_EQ(reductions, 1u);
  EXPECT_EQ(fused.ops.size(), 3u);
}

TEST(Fuse, SoftmaxIsOneRowGroupAndNotJoinedToTheContractionBefore) {
  Stages s;
  const int x = s.input({6, 8}), w = s.weight({8, 32}), y = s.temporary({6, 32}),
            m = s.temporary({6}), t = s.temporary({6});
  s.reduce(y, Combiner::kSum, {8}, at(x, {0, 2}) * at(w, {2, 1}));
  s.reduce(m, Combiner::kMax, {32}, at(y, {0, 1}));
  s.reduce(t, Combiner::kSum, {32}, exp_of(at(y, {0, 1}) - at(m, {0})));
  s.define(s.output({6, 32}),
           graph::binary(ExprOp::kDiv, exp_of(at(y, {0, 1}) - at(m, {0})), at(t, {0})));
  const FusedGraph fused = fuse(s.graph);
  ASSERT_EQ(fused.ops.size(), 2u);
  EXPECT_EQ(fused.ops[0].anchor, Anchor::kContraction);
  EXPECT_EQ(fused.ops[1].anchor, Anchor::kRow);
  EXPECT_EQ(fused.ops[1].outputs.size(), 1u);
}

TEST(Fuse, DearProducersAreNotRepeated) {
  Stages s;
  const int x = s.input({16}), e = s.temporary({16});
  s.define(e, exp_of(at(x, {0})));
  s.define(s.output({9, 16}), at_index(e, {axis(1)}) * constant(3));
  EXPECT_EQ(fuse(s.graph).ops.size(), 2u);
}

TEST(Fuse, AStateIsReadBeforeItIsReplaced) {
  Stages s;
  const int x = s.input({4}), mean = s.weight({4}), fresh = s.temporary({4});
  s.graph.tensors[static_cast<size_t>(mean)].role = graph::TensorRole::kState;
  s.define(fresh, at(mean, {0}) + at(x, {0}));
  s.define(mean, at(fresh, {0}));
  s.define(s.output({4}), at(x, {0}) * at(mean, {0}));
  const FusedGraph fused = fuse(s.graph);
  ASSERT_GE(fused.ops.size(), 2u);
  EXPECT_EQ(fused.ops.back().outputs, std::vector<int>{mean});
}

TEST(Contraction, RolesOfAGroupedConvolution) {
  Stages s;
  const int x = s.input({2, 8, 10}), w = s.weight({6, 4, 3});
  const Expr channel = graph::binary(ExprOp::kFloorDiv, axis(1), integer(3)) * integer(4) + axis(3);
  s.reduce(s.output({2, 6, 8}), Combiner::kSum, {4, 3},
           at_index(x, {axis(0), channel, axis(2) + axis(4)}) * at(w, {1, 3, 4}));
  const auto c = match_contraction(s.graph.stages[0], s.graph.tensors);
  ASSERT_TRUE(c.has_value());
  EXPECT_EQ(c->extent(c->batch), 2);  // groups
  EXPECT_EQ(c->extent(c->m), 3);      // channels of one group
  EXPECT_EQ(c->extent(c->n), 16);     // images and positions
  EXPECT_EQ(c->extent(c->k), 12);
}

}  // namespace
}  // namespace kernelwright::rewrite

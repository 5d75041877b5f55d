// SPDX-License-Identifier: Apache-2.0
// What bounds on a convolution's time count.
#include <gtest/gtest.h>

#include "referee/tolerance.h"
#include "rewrite/convolution.h"
#include "rewrite/rules.h"
#include "support/chain.h"
#include "support/compiled.h"

namespace kernelwright::rewrite {
namespace {

using graph::axis;
using kernelwright::testing::at;
using kernelwright::testing::at_index;
using kernelwright::testing::chain;

// Bound by arithmetic, whatever the shape.
constexpr graph::Ceilings kSlowArithmetic = {1e15, 1e9};

double counted(const graph::StageGraph& graph) {
  return least_work(graph, kSlowArithmetic).contraction_flops /
         graph::count_work(graph).contraction_flops;
}

// A kernel at 92 % of a bound that counted direct products would have ended the search, where
// minimal filtering still halves its time.
TEST(LeastWork, ConvolutionsCountByMinimalFiltering) {
  EXPECT_DOUBLE_EQ(counted(chain("input 2x8x12x12\nconv 16 3\n")), 0.25);
  EXPECT_DOUBLE_EQ(counted(chain("input 2x8x12x12\nconv 16 3 1\nrelu\n")), 0.25);
}

TEST(LeastWork, OtherContractionsCountInFull) {
  EXPECT_DOUBLE_EQ(counted(chain("input 2x8x12x12\nconv 16 2\n")), 1);
  EXPECT_DOUBLE_EQ(counted(chain("input 2x8x12x12\nconv 16 5\n")), 1);
  EXPECT_DOUBLE_EQ(counted(chain("input 64x128\nlinear 256\n")), 1);
}

// A result that is stored channels last: the filters run along the innermost output axis.
TEST(LeastWork, WhicheverFactorSlides) {
  for (const int64_t stride : {1, 2}) {
    kernelwright::testing::Stages s;
    const int x = s.input({1, 8, 11, 11}), w = s.weight({16, 8, 3, 3});
    const int64_t extent = stride == 1 ? 9 : 5;
    const auto along = [&](int out, int window) {
      return axis(out) * graph::integer(stride) + axis(window);
    };
    s.reduce(s.output({1, extent, extent, 16}), graph::Combiner::kSum, {8, 3, 3},
             at_index(x, {axis(0), axis(4), along(1, 5), along(2, 6)}) * at(w, {3, 4, 5, 6}));
    EXPECT_DOUBLE_EQ(counted(s.graph), stride == 1 ? 0.25 : 1);
  }
}

// Tiles of any size need one product per output and channel, a ninth of the direct sum's.
TEST(LeastWork, NoMinimalFilteringIsTakenForACheat) {
  const target::MachineModel model = kernelwright::testing::plain_machine();
  const graph::StageGraph graph = chain("input 2x512x12x12\nconv 512 3\n", graph::DType::kF32);
  const auto ceilings = model.ceilings(graph::DType::kF32);
  const double direct_s = graph::count_work(graph).contraction_flops / ceilings.flops_per_s;
  const double suspicious_s = model.floor_seconds(least_work(graph, ceilings), graph::DType::kF32) *
                              referee::kTolerances.light_share;
  EXPECT_GT(suspicious_s, 0);
  EXPECT_LT(suspicious_s, direct_s / 9);
}

}  // namespace
}  // namespace kernelwright::rewrite

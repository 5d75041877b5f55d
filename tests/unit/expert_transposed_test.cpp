// SPDX-License-Identifier: Apache-2.0
// Transposed convolutions as contractions: columns along the image, products that no phase hears
// left out (families/structural_zeros.h), phases written side by side.
#include <gtest/gtest.h>

#include "expert/families/contraction.h"
#include "expert/families/contraction_plan.h"
#include "expert/families/pointwise.h"
#include "program/validate.h"
#include "support/compiled.h"
#include "support/graph_builder.h"

namespace kernelwright::expert {
namespace {

using kernelwright::testing::Case;
using kernelwright::testing::GraphBuilder;
using kernelwright::testing::ref;
using Runs = std::vector<std::pair<int64_t, int64_t>>;

struct Transposed {
  int64_t batch, in, out, height, width, kernel, stride, padding, extra, groups = 1;
};

graph::StageGraph transposed(const Transposed& t) {
  auto size = [&](int64_t points) {
    return (points - 1) * t.stride - 2 * t.padding + t.kernel + t.extra;
  };
  GraphBuilder b;
  b.input("x", {t.batch, t.in, t.height, t.width})
      .weight("w", {t.in, t.out / t.groups, t.kernel, t.kernel})
      .weight("c", {t.out});
  b.node("aten.convolution.default",
         {{"input", ref("x")},
          {"weight", ref("w")},
          {"bias", ref("c")},
          {"stride", {t.stride, t.stride}},
          {"padding", {t.padding, t.padding}},
          {"dilation", {1, 1}},
          {"transposed", true},
          {"output_padding", {t.extra, t.extra}},
          {"groups", t.groups}},
         "y", {t.batch, t.out, size(t.height), size(t.width)})
      .output("y");
  return kernelwright::testing::lowered(b.graph());
}

const Transposed kDoubling{2, 5, 6, 7, 16, 3, 2, 1, 1};

struct Seen {
  target::MachineModel model = kernelwright::testing::plain_machine();
  rewrite::FusedGraph fused;
  OpContext context;
  explicit Seen(const graph::StageGraph& graph)
      : fused(rewrite::fuse(graph)),
        context(fused, fused.ops.at(0), model, 2, target::Policy::kStrict) {}
  const ContractionFacts& facts() const { return contraction_facts(context); }
};

TEST(TransposedConvolution, ColumnsRunAlongTheImage) {
  const graph::StageGraph graph = transposed(kDoubling);
  const Seen seen(graph);
  const ContractionFacts& facts = seen.facts();
  EXPECT_EQ(facts.inner, 16);
  EXPECT_EQ(facts.n, 2 * 7 * 16);
  EXPECT_EQ(facts.m, 6 * 4);
  ASSERT_GE(facts.between, 0);
  EXPECT_EQ(facts.sparse.nest.extents[static_cast<size_t>(facts.between)], 2);
}

TEST(TransposedConvolution, NotWhereTheyAreAsWellReadAcross) {
  // Four results a row: the matrix is not read along its rows' axis, so columns stay.
  kernelwright::testing::Stages s;
  const int a = s.input({64, 32}), b = s.weight({32, 4});
  s.reduce(s.output({64, 4}), graph::Combiner::kSum, {32},
           kernelwright::testing::at(a, {0, 2}) * kernelwright::testing::at(b, {2, 1}));
  const Seen seen(s.graph);
  EXPECT_EQ(seen.facts().n, 4);
  EXPECT_EQ(seen.facts().between, -1);
  EXPECT_FALSE(seen.facts().zeros.has_value());
}

Runs runs(const StructuralZeros& zeros, int64_t begin, int64_t end, int64_t longest = 1000) {
  Runs out;
  for (const auto& run : zeros.runs(begin, end, longest)) out.emplace_back(run.first, run.count);
  return out;
}

TEST(StructuralZeros, AreTheTapsThatAPhaseDoesNotHear) {
  const graph::StageGraph graph = transposed(kDoubling);
  const Seen seen(graph);
  const auto& zeros = seen.facts().zeros;
  ASSERT_TRUE(zeros.has_value());
  EXPECT_DOUBLE_EQ(zeros->density(), 9.0 / 16.0);
  EXPECT_EQ(zeros->rows, 6);
  EXPECT_EQ(zeros->terms, 5);
  // Rows: four phases of six channels. Terms: four taps of five channels.
  size_t heard = 0;
  for (int64_t phase = 0; phase < 4; ++phase)
    for (const auto& run : zeros->runs(6 * phase, 6 * phase + 6, 1000)) heard += run.count;
  EXPECT_EQ(heard, 9U * 5);
  EXPECT_EQ(runs(*zeros, 18, 24), Runs({{0, 20}}));
  EXPECT_EQ(runs(*zeros, 18, 24, 8), Runs({{0, 8}, {8, 8}, {16, 4}}));
  // Rows of several phases need what any of them hears.
  EXPECT_EQ(runs(*zeros, 0, 24), Runs({{0, 20}}));
}

TEST(StructuralZeros, RowsThatHearNothingAreMadeAllTheSame) {
  const graph::StageGraph graph = transposed({1, 3, 4, 8, 8, 1, 2, 0, 1});
  const Seen seen(graph);
  const auto& zeros = seen.facts().zeros;
  ASSERT_TRUE(zeros.has_value());
  EXPECT_EQ(runs(*zeros, 0, 4), Runs({{0, 3}}));
  for (int64_t row = 4; row < 16; ++row) EXPECT_EQ(runs(*zeros, row, row + 1), Runs({{0, 2}}));
}

TEST(TransposedConvolution, EveryKindOfSchedule) {
  std::vector<graph::StageGraph> all;
  all.push_back(transposed(kDoubling));
  all.push_back(transposed({1, 8, 8, 5, 40, 4, 2, 1, 0}));     // cut out of whole phases
  all.push_back(transposed({2, 3, 9, 6, 9, 2, 2, 0, 0}));      // every phase hears one tap
  all.push_back(transposed({1, 3, 4, 8, 8, 1, 3, 0, 2}));      // most hear nothing
  all.push_back(transposed({1, 4, 6, 5, 11, 5, 3, 2, 1, 2}));  // groups
  all.push_back(transposed({1, 70, 3, 4, 10, 3, 2, 1, 1}));    // sums in blocks
  all.push_back(transposed({1, 3, 4, 6, 5, 3, 2, 1, 1}));      // too narrow
  const target::MachineModel model = kernelwright::testing::plain_machine();
  const ContractionFamily family;
  std::vector<Case> cases;
  size_t side_by_side = 0, left_out = 0;
  for (const auto& graph : all) {
    const rewrite::FusedGraph fused = rewrite::fuse(graph);
    const OpContext context(fused, fused.ops.at(0), model, 2, target::Policy::kStrict);
    ASSERT_TRUE(family.accepts(context));
    std::vector<Schedule> legal;
    for (const Schedule& schedule : enumerate(family.space(context), 4000))
      if (family.legal(context, schedule)) legal.push_back(schedule);
    ASSERT_FALSE(legal.empty());
    for (size_t i = 0; i < 7; ++i) {
      const Schedule& schedule = legal[i * (legal.size() - 1) / 6];
      const ContractionPlan plan = plan_contraction(context, schedule);
      side_by_side += plan.between >= 0;
      left_out += plan.zeros != nullptr;
      auto built = [&] {
        ProgramBuilder builder(fused.tensors, "cpu");
        for (const auto& op : fused.ops) {
          builder.begin_op(op);
          const OpContext one(fused, op, model, 2, target::Policy::kStrict);
          if (family.accepts(one)) {
            EXPECT_TRUE(family.emit(one, schedule, builder));
            continue;
          }
          const PointwiseFamily cut;  // out of whole phases
          EXPECT_TRUE(cut.emit(one, enumerate(cut.space(one), 1).front(), builder));
        }
        return builder.finish();
      };
      cases.push_back({schedule_text(schedule), &graph, built()});
    }
  }
  EXPECT_GE(side_by_side, 5U);
  EXPECT_GE(left_out, 20U);
  for (const Case& c : cases) {
    const auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases))
    ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace kernelwright::expert

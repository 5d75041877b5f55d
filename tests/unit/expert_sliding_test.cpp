// SPDX-License-Identifier: Apache-2.0
// Convolutions whose operand is read where it lies (families/sliding.h).
#include <gtest/gtest.h>

#include <algorithm>

#include "expert/families/contraction.h"
#include "expert/families/contraction_plan.h"
#include "program/validate.h"
#include "support/compiled.h"
#include "support/graph_builder.h"

namespace kernelwright::expert {
namespace {

using kernelwright::testing::Case;
using kernelwright::testing::GraphBuilder;
using kernelwright::testing::ref;

struct Dense {
  int64_t batch, in, out;
  std::vector<int64_t> size;  // of the image
  int64_t kernel = 3, stride = 1, padding = 0, dilation = 1, groups = 1;
};

graph::StageGraph dense(const Dense& d) {
  graph::Shape in = {d.batch, d.in}, out = {d.batch, d.out}, taps = {d.out, d.in / d.groups};
  std::vector<int64_t> stride, padding, dilation;
  for (int64_t size : d.size) {
    in.push_back(size);
    out.push_back((size + 2 * d.padding - d.dilation * (d.kernel - 1) - 1) / d.stride + 1);
    taps.push_back(d.kernel);
    stride.push_back(d.stride);
    padding.push_back(d.padding);
    dilation.push_back(d.dilation);
  }
  GraphBuilder b;
  b.input("x", in).weight("w", taps).weight("c", {d.out});
  b.node("aten.convolution.default",
         {{"input", ref("x")},
          {"weight", ref("w")},
          {"bias", ref("c")},
          {"stride", stride},
          {"padding", padding},
          {"dilation", dilation},
          {"transposed", false},
          {"output_padding", std::vector<int64_t>(d.size.size(), 0)},
          {"groups", d.groups}},
         "y", out);
  b.node("aten.relu.default", {{"self", ref("y")}}, "z", out).output("z");
  return kernelwright::testing::lowered(b.graph());
}

struct Sight {
  target::MachineModel model = kernelwright::testing::plain_machine();
  rewrite::FusedGraph fused;
  OpContext context;
  explicit Sight(const graph::StageGraph& graph)
      : fused(rewrite::fuse(graph)),
        context(fused, fused.ops.at(0), model, 2, target::Policy::kStrict) {}
  const std::optional<Sliding>& sliding() const { return contraction_facts(context).sliding; }
};

TEST(Sliding, PlacesAreNumberedAsTheyLie) {
  const graph::StageGraph graph = dense({2, 5, 6, {9, 20}});
  const Sight sight(graph);
  ASSERT_TRUE(sight.sliding().has_value());
  const Sliding& s = *sight.sliding();
  EXPECT_EQ(s.moving.size(), 2U);
  EXPECT_EQ(s.images.size(), 1U);
  EXPECT_EQ(s.pitch, std::vector<int64_t>({20, 1}));
  EXPECT_EQ(s.places, 6 * 20 + 18);  // the last output's place is the last
  ASSERT_EQ(s.offsets.size(), 5U * 9);
  EXPECT_EQ(s.offsets[1], 1);
  EXPECT_EQ(s.offsets[3], 20);
  EXPECT_EQ(s.offsets[9], 180);
}

TEST(Sliding, NotWithABorderOrEveryOtherColumn) {
  const graph::StageGraph border = dense({2, 5, 6, {9, 20}, 3, 1, 1}),
                          stride = dense({2, 5, 6, {9, 20}, 3, 2});
  EXPECT_FALSE(Sight(border).sliding().has_value());
  EXPECT_FALSE(Sight(stride).sliding().has_value());
}

// A row of an image that is mostly window: whole images would be made in vain.
TEST(Sliding, RowsAloneWhereTooMuchWouldBeMadeInVain) {
  const graph::StageGraph graph = dense({1, 2, 3, {5, 40, 40}, 5});
  const Sight sight(graph);
  ASSERT_TRUE(sight.sliding().has_value());
  EXPECT_EQ(sight.sliding()->pitch.back(), 1);
  EXPECT_LE(sight.sliding()->places, 36 * 40);
}

TEST(Sliding, EveryKindOfSchedule) {
  std::vector<graph::StageGraph> all;
  all.push_back(dense({2, 5, 6, {9, 20}}));
  all.push_back(dense({2, 3, 4, {6, 7, 12}}));               // three dimensions
  all.push_back(dense({1, 4, 9, {70}, 5}));                  // one
  all.push_back(dense({1, 3, 5, {12, 30}, 3, 1, 0, 2}));     // dilated
  all.push_back(dense({2, 4, 6, {10, 14}, 3, 1, 0, 1, 2}));  // groups
  all.push_back(dense({1, 40, 3, {7, 24}}));                 // sums in blocks
  all.push_back(dense({3, 6, 8, {8, 16}, 1}));               // one tap
  all.push_back(dense({1, 2, 3, {4, 6}}));                   // fewer places than a vector has
  const target::MachineModel model = kernelwright::testing::plain_machine();
  const ContractionFamily family;
  std::vector<Case> cases;
  size_t sliding = 0;
  for (const auto& graph : all) {
    const rewrite::FusedGraph fused = rewrite::fuse(graph);
    ASSERT_EQ(fused.ops.size(), 1U);
    const OpContext context(fused, fused.ops[0], model, 2, target::Policy::kStrict);
    ASSERT_TRUE(family.accepts(context));
    std::vector<Schedule> legal;
    for (const Schedule& schedule : enumerate(family.space(context), 4000))
      if (family.legal(context, schedule)) legal.push_back(schedule);
    std::stable_sort(legal.begin(), legal.end(), [](const Schedule& a, const Schedule& b) {
      return a.at("slide") > b.at("slide");
    });
    ASSERT_FALSE(legal.empty());
    const auto slides =
        static_cast<size_t>(std::count_if(legal.begin(), legal.end(), [](const Schedule& schedule) {
          return schedule.at("slide") != 0;
        }));
    const size_t some = slides > 0 ? slides : legal.size();
    for (size_t i = 0; i < 6; ++i) {
      const Schedule& schedule = legal[i * (some - 1) / 5];
      sliding += schedule.at("slide") != 0;
      EXPECT_GT(family.predict_seconds(context, schedule), 0);
      ProgramBuilder builder(fused.tensors, "cpu");
      builder.begin_op(fused.ops[0]);
      ASSERT_TRUE(family.emit(context, schedule, builder));
      cases.push_back({schedule_text(schedule), &graph, builder.finish()});
    }
  }
  EXPECT_GE(sliding, 36U);
  for (const Case& c : cases) {
    const auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases))
    ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace kernelwright::expert

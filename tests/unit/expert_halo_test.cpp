// SPDX-License-Identifier: Apache-2.0
// Windows over an image that is copied with its border (families/halo.h).
#include <gtest/gtest.h>

#include "expert/families/halo.h"
#include "expert/families/window.h"
#include "program/validate.h"
#include "support/compiled.h"
#include "support/graph_builder.h"

namespace kernelwright::expert {
namespace {

using kernelwright::testing::Case;
using kernelwright::testing::GraphBuilder;
using kernelwright::testing::ref;

struct Filter {
  std::vector<int64_t> size;  // of the image
  int64_t kernel = 3, stride = 1, padding = 1, dilation = 1;
  int64_t batch = 2, channels = 3;
};

// A filter of its own for each channel.
graph::StageGraph depthwise(const Filter& f) {
  graph::Shape in = {f.batch, f.channels}, out = in, taps = {f.channels, 1};
  std::vector<int64_t> stride, padding, dilation;
  for (int64_t size : f.size) {
    in.push_back(size);
    out.push_back((size + 2 * f.padding - f.dilation * (f.kernel - 1) - 1) / f.stride + 1);
    taps.push_back(f.kernel);
    stride.push_back(f.stride);
    padding.push_back(f.padding);
    dilation.push_back(f.dilation);
  }
  const std::vector<int64_t> none(f.size.size(), 0);
  GraphBuilder b;
  b.input("x", in).weight("w", taps).weight("c", {f.channels});
  b.node("aten.convolution.default",
         {{"input", ref("x")},
          {"weight", ref("w")},
          {"bias", ref("c")},
          {"stride", stride},
          {"padding", padding},
          {"dilation", dilation},
          {"transposed", false},
          {"output_padding", none},
          {"groups", f.channels}},
         "y", out)
      .output("y");
  return kernelwright::testing::lowered(b.graph());
}

graph::StageGraph pooled(const std::string& op, graph::Shape in, graph::Shape out, int64_t kernel,
                         int64_t stride, int64_t padding) {
  GraphBuilder b;
  b.input("x", std::move(in));
  b.node(op,
         {{"self", ref("x")},
          {"kernel_size", {kernel, kernel}},
          {"stride", {stride, stride}},
          {"padding", {padding, padding}}},
         "y", std::move(out))
      .output("y");
  return kernelwright::testing::lowered(b.graph());
}

std::optional<Halo> halo_in(const graph::StageGraph& graph) {
  const rewrite::FusedGraph fused = rewrite::fuse(graph);
  const target::MachineModel model = kernelwright::testing::plain_machine();
  const OpContext context(fused, fused.ops.at(0), model, 2, target::Policy::kStrict);
  return halo_of(context.nest());
}

TEST(Halo, ImagesWithTheirBorder) {
  auto halo = halo_in(depthwise({{9, 21}, 5, 1, 2}));
  ASSERT_TRUE(halo.has_value());
  EXPECT_EQ(halo->columns, 21 + 4);
  EXPECT_EQ(halo->rows_of(9), 9 + 4);
  EXPECT_EQ(halo->rows_of(1), 5);
  // Every second place: the last column is read by no window.
  halo = halo_in(depthwise({{10, 20}, 3, 2}));
  ASSERT_TRUE(halo.has_value());
  EXPECT_EQ(halo->columns, 21);
  EXPECT_EQ(halo->rows_of(1), 3);
  EXPECT_EQ(halo->rows_of(2), 5);
  halo = halo_in(depthwise({{12, 20}, 3, 1, 2, 2}));
  ASSERT_TRUE(halo.has_value());
  EXPECT_EQ(halo->columns, 24);
  EXPECT_EQ(halo->rows_of(1), 5);
  halo = halo_in(depthwise({{50}, 7, 1, 3}));
  ASSERT_TRUE(halo.has_value());
  EXPECT_EQ(halo->down, -1);
  EXPECT_EQ(halo->columns, 56);
}

TEST(Halo, NotWithoutABorderAndNotOfManyImages) {
  EXPECT_FALSE(halo_in(depthwise({{9, 21}, 3, 1, 0})).has_value());
  EXPECT_FALSE(halo_in(depthwise({{5, 6, 7}, 3, 1, 1})).has_value());
  EXPECT_FALSE(halo_in(depthwise({{30, 30}, 3, 2, 2, 2})).has_value());
  // A sum over channels as well.
  GraphBuilder b;
  b.input("x", {1, 4, 9, 21}).weight("w", {5, 4, 3, 3});
  b.node("aten.conv2d.default",
         {{"input", ref("x")}, {"weight", ref("w")}, {"bias", nullptr}, {"padding", {1, 1}}}, "y",
         {1, 5, 9, 21})
      .output("y");
  EXPECT_FALSE(halo_in(kernelwright::testing::lowered(b.graph())).has_value());
}

TEST(Halo, EveryKindOfSchedule) {
  std::vector<graph::StageGraph> all;
  all.push_back(depthwise({{9, 21}, 5, 1, 2}));
  all.push_back(depthwise({{40, 70}, 3, 1, 1}));  // more rows than fit one image
  all.push_back(depthwise({{10, 20}, 3, 2}));
  all.push_back(depthwise({{12, 20}, 3, 1, 2, 2}));
  all.push_back(depthwise({{5, 4}, 5, 1, 4}));  // more border than image
  all.push_back(depthwise({{50}, 7, 1, 3}));
  all.push_back(pooled("aten.avg_pool2d.default", {2, 3, 12, 18}, {2, 3, 6, 9}, 3, 2, 1));
  all.push_back(pooled("aten.max_pool2d.default", {2, 3, 12, 18}, {2, 3, 12, 18}, 3, 1, 1));
  const target::MachineModel model = kernelwright::testing::plain_machine();
  const WindowFamily family;
  std::vector<Case> cases;
  size_t bordered = 0;
  for (const auto& graph : all) {
    const rewrite::FusedGraph fused = rewrite::fuse(graph);
    ASSERT_EQ(fused.ops.size(), 1U);
    const OpContext context(fused, fused.ops[0], model, 2, target::Policy::kStrict);
    ASSERT_TRUE(family.accepts(context));
    for (const Schedule& schedule : enumerate(family.space(context), 100)) {
      if (!family.legal(context, schedule)) continue;
      EXPECT_GT(family.predict_seconds(context, schedule), 0);
      bordered += schedule.at("halo") != 0;
      ProgramBuilder builder(fused.tensors, "cpu");
      builder.begin_op(fused.ops[0]);
      ASSERT_TRUE(family.emit(context, schedule, builder));
      cases.push_back({schedule_text(schedule), &graph, builder.finish()});
    }
  }
  EXPECT_GE(bordered, all.size());
  for (const Case& c : cases) {
    const auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases))
    ADD_FAILURE() << failure;
}

// 200000 columns are no image that a worker keeps.
TEST(Halo, NotWhereTheImageIsLarge) {
  const graph::StageGraph graph = depthwise({{200000}, 3, 1, 1, 1, 1, 1});
  const rewrite::FusedGraph fused = rewrite::fuse(graph);
  const target::MachineModel model = kernelwright::testing::plain_machine();
  const OpContext context(fused, fused.ops.at(0), model, 2, target::Policy::kStrict);
  const WindowFamily family;
  size_t legal = 0;
  for (const Schedule& schedule : enumerate(family.space(context), 100)) {
    if (!family.legal(context, schedule)) continue;
    EXPECT_EQ(schedule.at("halo"), 0);
    ++legal;
  }
  EXPECT_GT(legal, 0U);
}

}  // namespace
}  // namespace kernelwright::expert

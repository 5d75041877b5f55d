// SPDX-License-Identifier: Apache-2.0
// Convolutions by minimal filtering (families/winograd.h): the transforms, what is taken, and every
// kind of schedule compiled and run against the interpreter.
#include <gtest/gtest.h>

#include "expert/families/winograd.h"
#include "expert/families/winograd_plan.h"
#include "program/validate.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using graph::axis;
using graph::Combiner;
using graph::constant;
using graph::Expr;
using graph::ExprOp;
using graph::integer;
using kernelwright::testing::at;
using kernelwright::testing::at_index;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;

struct Shape2d {
  int64_t batch, in, out, height, width;
  int64_t pad = 1, stride = 1, dilation = 1, groups = 1, kernel = 3;
  bool constant_filters = true, computed_input = false, finish = true;
};

Stages convolution_of(const Shape2d& v) {
  Stages s;
  const graph::Shape shape = {v.batch, v.in, v.height, v.width};
  const graph::Shape filters = {v.out, v.in / v.groups, v.kernel, v.kernel};
  const int x = s.input(shape);
  const int w = v.constant_filters ? s.weight(filters) : s.input(filters);
  const int bias = s.weight({v.out});
  const int64_t reach = v.dilation * (v.kernel - 1) + 1;
  const int64_t oh = (v.height + 2 * v.pad - reach) / v.stride + 1,
                ow = (v.width + 2 * v.pad - reach) / v.stride + 1;
  const Expr h = axis(2) * integer(v.stride) + axis(5) * integer(v.dilation) - integer(v.pad),
             l = axis(3) * integer(v.stride) + axis(6) * integer(v.dilation) - integer(v.pad);
  Expr channel = axis(4);
  if (v.groups > 1)
    channel = graph::binary(ExprOp::kFloorDiv, axis(1), integer(v.out / v.groups)) *
                  integer(v.in / v.groups) +
              axis(4);
  const auto within = [](const Expr& e, int64_t extent) {
    return graph::binary(ExprOp::kAnd, graph::binary(ExprOp::kGe, e, integer(0)),
                         graph::binary(ExprOp::kLt, e, integer(extent)));
  };
  Expr value = at_index(x, {axis(0), channel, h, l});
  if (v.computed_input) value = graph::binary(ExprOp::kMax, value - constant(0.25), constant(0));
  if (v.pad > 0) {
    value = graph::select(graph::binary(ExprOp::kAnd, within(h, v.height), within(l, v.width)),
                          value, constant(0));
  }
  const Expr product = value * at(w, {1, 4, 5, 6});
  const std::vector<int64_t> reduce = {v.in / v.groups, v.kernel, v.kernel};
  if (!v.finish) {
    s.reduce(s.output({v.batch, v.out, oh, ow}), Combiner::kSum, reduce, product);
    return s;
  }
  const int t = s.temporary({v.batch, v.out, oh, ow});
  s.reduce(t, Combiner::kSum, reduce, product);
  s.define(s.output({v.batch, v.out, oh, ow}),
           graph::binary(ExprOp::kMax, at(t, {0, 1, 2, 3}) + at(bias, {1}), constant(0)));
  return s;
}

const WinogradFamily& family() {
  static const WinogradFamily it;
  return it;
}

bool taken(const Stages& s) {
  const target::MachineModel model = kernelwright::testing::plain_machine();
  const rewrite::FusedGraph fused = rewrite::fuse(s.graph);
  for (const auto& op : fused.ops)
    if (family().accepts(OpContext(fused, op, model, 2))) return true;
  return false;
}

// Programs for three legal schedules, spread over the space, with tiles of 2 and of 4.
void add_schedules(std::vector<Case>& cases, const std::string& name,
                   const graph::StageGraph& graph) {
  static const target::MachineModel model = kernelwright::testing::plain_machine();
  const rewrite::FusedGraph fused = rewrite::fuse(graph);
  ASSERT_EQ(fused.ops.size(), 1U) << name;
  const OpContext context(fused, fused.ops[0], model, 2);
  ASSERT_TRUE(family().accepts(context)) << name;
  for (const int64_t tile : {2, 4}) {
    std::vector<Schedule> legal;
    for (Schedule schedule : enumerate(family().space(context), 5000)) {
      schedule["tile"] = tile;
      if (family().legal(context, schedule)) legal.push_back(schedule);
    }
    ASSERT_FALSE(legal.empty()) << name;
    for (size_t i = 0; i < (tile == 2 ? 3U : 1U); ++i) {
      const Schedule& schedule = legal[i * (legal.size() - 1) / 2];
      EXPECT_GT(family().predict_seconds(context, schedule), 0) << schedule_text(schedule);
      ProgramBuilder builder(fused.tensors, "cpu");
      builder.begin_op(fused.ops[0]);
      ASSERT_TRUE(family().emit(context, schedule, builder));
      cases.push_back({name + " | " + schedule_text(schedule), &graph, builder.finish()});
    }
  }
}

TEST(Winograd, TransformsMakeTheFilter) {
  for (int64_t tile : {2, 4}) {
    const FilterTransforms f = filter_transforms(tile);
    const size_t t = static_cast<size_t>(tile), n = t + kFilterSize - 1;
    // A^T [(G g) . (B^T d)] for unit vectors d and g: output y reads d[y + k] times g[k].
    for (size_t d = 0; d < n; ++d) {
      for (size_t g = 0; g < kFilterSize; ++g) {
        for (size_t y = 0; y < t; ++y) {
          double sum = 0;
          for (size_t i = 0; i < n; ++i) sum += f.output[y][i] * f.filter[i][g] * f.input[i][d];
          EXPECT_NEAR(sum, y + g == d ? 1 : 0, 1e-14) << tile << " " << d << " " << g << " " << y;
        }
      }
    }
  }
}

TEST(Winograd, TakesUnitStrideAndConstantFilters) {
  EXPECT_TRUE(taken(convolution_of({2, 3, 5, 9, 8})));
  EXPECT_TRUE(taken(convolution_of({1, 3, 5, 9, 8, 0})));
  EXPECT_FALSE(taken(convolution_of({2, 3, 5, 9, 8, 1, 2})));           // stride
  EXPECT_FALSE(taken(convolution_of({2, 3, 5, 9, 8, 1, 1, 2})));        // dilation
  EXPECT_FALSE(taken(convolution_of({2, 4, 6, 9, 8, 1, 1, 1, 2})));     // groups
  EXPECT_FALSE(taken(convolution_of({2, 4, 6, 9, 8, 1, 1, 1, 1, 5})));  // size
  EXPECT_FALSE(taken(convolution_of({2, 3, 5, 9, 8, 1, 1, 1, 1, 3, false})));
  Stages matmul;
  const int a = matmul.input({4, 3}), b = matmul.weight({3, 6});
  matmul.reduce(matmul.output({4, 6}), Combiner::kSum, {3}, at(a, {0, 2}) * at(b, {2, 1}));
  EXPECT_FALSE(taken(matmul));
}

TEST(Winograd, MakesTheConvolution) {
  std::vector<Shape2d> shapes = {
      {2, 3, 7, 11, 13},     // edges that are no multiple of a tile, few channels
      {1, 5, 20, 6, 37, 0},  // no padding, rows wider than a vector
      {3, 17, 9, 4, 4},      // several images per block
      {1, 2, 3, 9, 70, 2},   // more padding than the window needs
      {1, 1, 4, 5, 6},       // one channel
  };
  shapes.push_back({2, 4, 6, 7, 9});
  shapes.back().computed_input = true;
  shapes.push_back({1, 150, 5, 6, 7});  // sums in blocks
  shapes.back().finish = false;
  std::vector<Stages> all;
  for (const Shape2d& shape : shapes) all.push_back(convolution_of(shape));
  std::vector<Case> cases;
  for (size_t i = 0; i < all.size(); ++i)
    add_schedules(cases, "convolution " + std::to_string(i), all[i].graph);
  for (const Case& c : cases) {
    const auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, 1e-4))
    ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace kernelwright::expert

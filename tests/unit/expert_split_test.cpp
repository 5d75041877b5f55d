// SPDX-License-Identifier: Apache-2.0
// f32 products on tensor cores (families/cuda/split.h): the pieces, the launches before the product
// and what its kernel does with the sums (emulated), and when it is chosen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "expert/expert.h"
#include "expert/families/cuda/split.h"
#include "program/validate.h"
#include "support/compiled.h"
#include "support/cuda_emulation/kw_pieces.h"

namespace kernelwright::expert {
namespace {

using graph::axis;
using graph::constant;
using graph::Expr;
using graph::ExprOp;
using graph::integer;
using kernelwright::testing::at;
using kernelwright::testing::at_index;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

double value_of(uint16_t bits) {
  return __uint_as_float(static_cast<uint32_t>(bits) << 16);
}

TEST(Pieces, AddUpToTheNumber) {
  std::mt19937 random(1);
  std::vector<float> numbers = {0.0F,
                                -0.0F,
                                1.0F,
                                -1.0F + 0x1p-24F,
                                0x1.fffffep127F,
                                0x1p-126F,
                                -0x1.fffffep127F,
                                0x1.00ffffp0F,
                                0x1.01p0F,
                                0x1.fffffep-100F};
  for (int i = 0; i < 200000; ++i) {
    const float x = __uint_as_float(static_cast<uint32_t>(random()));
    if (std::isfinite(x)) numbers.push_back(x);
  }
  for (const float x : numbers) {
    const kw_pieces p = kw_split_pieces(x);
    const double sum = value_of(p.h) + value_of(p.m) + value_of(p.l);
    const double off = std::abs(sum - static_cast<double>(x));
    const bool normal = std::abs(x) >= 0x1p-109F;
    EXPECT_LE(off, normal ? 0.0 : 0x1p-133) << std::hexfloat << x;
    EXPECT_LE(std::abs(value_of(p.h)), std::abs(static_cast<double>(x)));
    EXPECT_LE(std::abs(value_of(p.m)),
              normal ? std::abs(static_cast<double>(x)) * 0x1p-7 : 0x1p-116);
  }
}

TEST(Pieces, OfInfinityAndNanAreThemselves) {
  for (const float x : {INFINITY, -INFINITY, NAN, __uint_as_float(0x7f800001)}) {
    const kw_pieces p = kw_split_pieces(x);
    EXPECT_EQ(p.m, 0);
    EXPECT_EQ(p.l, 0);
    EXPECT_EQ(std::isnan(value_of(p.h)), std::isnan(x));
    if (!std::isnan(x)) {
      EXPECT_EQ(value_of(p.h), x);
    }
  }
}

target::MachineModel hopper() {
  target::MachineModel model = kernelwright::testing::plain_machine("cuda");
  model.multiprocessors = 132;
  model.shared_bytes = 227 << 10;
  model.capability = 90;
  model.rates.push_back({"bf16", graph::DType::kBF16, 6.5e14});
  return model;
}

// A program for every `step`-th legal schedule, for graphs of a single op that the family takes.
void add_cases(std::vector<Case>& cases, const std::string& name, const graph::StageGraph& graph,
               size_t step = 1) {
  static const cuda::SplitContraction family;
  static const target::MachineModel model = hopper();
  rewrite::FuseOptions fusion;
  fusion.packs_operands = false;
  const rewrite::FusedGraph fused = rewrite::fuse(graph, fusion);
  ASSERT_EQ(fused.ops.size(), 1U) << name;
  const OpContext context(fused, fused.ops[0], model, 1);
  ASSERT_TRUE(family.accepts(context)) << name;
  size_t number = 0;
  for (const Schedule& schedule : enumerate(family.space(context), 100)) {
    if (!family.legal(context, schedule) || number++ % step != 0) continue;
    ProgramBuilder builder(fused.tensors, "cuda");
    builder.begin_op(fused.ops[0]);
    ASSERT_TRUE(family.emit(context, schedule, builder));
    cases.push_back({name + " | " + schedule_text(schedule), &graph, builder.finish()});
  }
  ASSERT_GT(number, 0U) << name;
}

void expect_split_right(const std::vector<Case>& cases, double tolerance) {
  for (const Case& c : cases) {
    const auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, tolerance))
    ADD_FAILURE() << failure;
}

Stages matmul(int64_t m, int64_t n, int64_t k, bool weight, bool transposed) {
  Stages s;
  const int a = s.input({m, k});
  const graph::Shape shape = transposed ? graph::Shape{n, k} : graph::Shape{k, n};
  const int b = weight ? s.weight(shape) : s.input(shape);
  s.reduce(s.output({m, n}), graph::Combiner::kSum, {k},
           at(a, {0, 2}) * (transposed ? at(b, {1, 2}) : at(b, {2, 1})));
  return s;
}

TEST(Split, ProductsAreRight) {
  std::vector<Case> cases;
  std::vector<Stages> all;
  all.push_back(matmul(130, 67, 70, false, false));
  all.push_back(matmul(64, 200, 65, true, true));
  all.push_back(matmul(300, 64, 128, false, true));
  for (size_t i = 0; i < all.size(); ++i)
    add_cases(cases, "matmul " + std::to_string(i), all[i].graph, i == 0 ? 1 : 3);
  expect_split_right(cases, 1e-6);
}

TEST(Split, OperandsAndFinishMayBeExpressions) {
  std::vector<Case> cases;
  Stages batched;
  const int p = batched.input({3, 70, 66}), q = batched.input({3, 66, 64});
  batched.reduce(
      batched.output({3, 70, 64}), graph::Combiner::kSum, {66},
      graph::binary(ExprOp::kMax, at(p, {0, 1, 3}), constant(0)) * (at(q, {0, 3, 2}) + constant(1)),
      graph::reduced(graph::ScalarKind::kReal) * constant(0.5));
  add_cases(cases, "batched", batched.graph, 3);

  // A linear layer whose result lies in heads, with bias, as f16.
  Stages heads;
  const int x = heads.input({2, 40, 64}), w = heads.weight({72, 64}), bias = heads.weight({72});
  const int y = heads.temporary({2, 40, 72});
  heads.reduce(y, graph::Combiner::kSum, {64}, at(x, {0, 1, 3}) * at(w, {2, 3}));
  heads.define(heads.output({2, 8, 40, 9}, graph::DType::kF32),
               at_index(y, {axis(0), axis(2), axis(1) * integer(9) + axis(3)}) +
                   at_index(bias, {axis(1) * integer(9) + axis(3)}));
  add_cases(cases, "heads", heads.graph, 3);

  // A convolution by index arithmetic, padded.
  Stages conv;
  const int image = conv.input({2, 8, 7, 9}), kernel = conv.weight({64, 8, 3, 3});
  const Expr row = axis(2) + axis(5) - integer(1), column = axis(3) + axis(6) - integer(1);
  const auto inside = [](const Expr& e, int64_t extent) {
    return graph::binary(ExprOp::kAnd, graph::binary(ExprOp::kGe, e, integer(0)),
                         graph::binary(ExprOp::kLt, e, integer(extent)));
  };
  conv.reduce(conv.output({2, 64, 7, 9}), graph::Combiner::kSum, {8, 3, 3},
              graph::select(graph::binary(ExprOp::kAnd, inside(row, 7), inside(column, 9)),
                            at_index(image, {axis(0), axis(4), row, column}), constant(0)) *
                  at(kernel, {1, 4, 5, 6}));
  add_cases(cases, "convolution", conv.graph, 3);
  expect_split_right(cases, 1e-6);
}

std::vector<std::string> ideas(const graph::StageGraph& graph, const target::MachineModel& model) {
  ExpertOptions options;
  options.target = "cuda";
  auto expert = make_expert(graph, model, options);
  EXPECT_TRUE(expert.has_value());
  auto proposals = (*expert)->propose(8);
  EXPECT_TRUE(proposals.has_value());
  std::vector<std::string> out;
  for (const auto& proposal : *proposals) out.push_back(proposal.idea);
  return out;
}

TEST(Split, IsFirstForLargeProductsOnHopperAlone) {
  const Stages large = matmul(2048, 2048, 2048, false, false);
  EXPECT_THAT(ideas(large.graph, hopper())[0], HasSubstr("split"));
  EXPECT_THAT(ideas(large.graph, kernelwright::testing::plain_machine("cuda")),
              Not(Contains(HasSubstr("split "))));
  target::MachineModel later = hopper();
  later.capability = 100;
  EXPECT_THAT(ideas(large.graph, later), Not(Contains(HasSubstr("split "))));
  for (const int64_t small : {64, 256, 512}) {
    const Stages product = matmul(small, small, small, false, false);
    EXPECT_THAT(ideas(product.graph, hopper())[0], Not(HasSubstr("split "))) << small;
  }
}

TEST(Split, RefusesPiecesThatTakeTooMuchMemory) {
  const Stages huge = matmul(1 << 17, 256, 8192, false, false);
  EXPECT_THAT(ideas(huge.graph, hopper()), Not(Contains(HasSubstr("split "))));
}

}  // namespace
}  // namespace kernelwright::expert

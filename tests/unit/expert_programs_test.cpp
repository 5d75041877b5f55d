// SPDX-License-Identifier: Apache-2.0
// Programs of the expert, compiled and run, against the interpreter.
#include <gtest/gtest.h>

#include <random>

#include "expert/expert.h"
#include "program/validate.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using graph::axis;
using graph::Combiner;
using graph::constant;
using graph::DType;
using graph::Expr;
using graph::ExprOp;
using graph::integer;
using graph::ScalarKind;
using kernelwright::testing::at;
using kernelwright::testing::at_index;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;

// Every test runs once per target; programs for CUDA are emulated.
class ExpertPrograms : public ::testing::TestWithParam<std::string> {
 protected:
  void add_cases(std::vector<Case>& cases, const std::string& name, const graph::StageGraph& graph,
                 int count = 4);
};

INSTANTIATE_TEST_SUITE_P(Targets, ExpertPrograms, ::testing::Values("cpu", "cuda"),
                         [](const auto& param) { return param.param; });

// The naive program and the first `count` proposals for a graph.
void ExpertPrograms::add_cases(std::vector<Case>& cases, const std::string& name,
                               const graph::StageGraph& graph, int count) {
  ExpertOptions options;
  options.threads = 2;
  options.target = GetParam();
  auto naive = naive_program(graph, options);
  ASSERT_TRUE(naive.has_value()) << naive.error().text();
  cases.push_back({name + " naive", &graph, *naive});
  auto expert = make_expert(graph, kernelwright::testing::plain_machine(GetParam()), options);
  ASSERT_TRUE(expert.has_value()) << expert.error().text();
  auto proposals = (*expert)->propose(count);
  ASSERT_TRUE(proposals.has_value()) << proposals.error().text();
  ASSERT_FALSE(proposals->empty());
  for (auto& proposal : *proposals) {
    cases.push_back({name + " | " + proposal.idea, &graph, proposal.candidate});
  }
}

void expect_right(const std::vector<Case>& cases, double tolerance = 2e-5) {
  for (const Case& c : cases) {
    auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, tolerance))
    ADD_FAILURE() << failure;
}

Expr relu(const Expr& x) {
  return graph::binary(ExprOp::kMax, x, constant(0));
}

TEST(Expert, TheTargetChoosesTheDialect) {
  Stages s;
  const int x = s.input({8});
  s.define(s.output({8}), relu(at(x, {0})));
  ExpertOptions options;
  options.target = "cuda:1";
  const auto naive = naive_program(s.graph, options);
  ASSERT_TRUE(naive.has_value()) << naive.error().text();
  EXPECT_EQ(naive->program.target, "cuda");
  EXPECT_EQ(naive->program.source, "kernels.cu");
  options.target = "abacus";
  const auto unknown = make_expert(s.graph, kernelwright::testing::plain_machine(), options);
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().kind, ErrorKind::kUsage);
}

TEST_P(ExpertPrograms, Pointwise) {
  std::vector<Case> cases;
  Stages simple;
  const int x = simple.input({3, 70});
  const int t = simple.temporary({3, 70});
  simple.define(t, relu(at(x, {0, 1})));
  simple.define(simple.output({3, 70}), at(t, {0, 1}) * constant(2) + constant(1));
  add_cases(cases, "relu", simple.graph);

  Stages large;
  const int l = large.input({2, 1536});
  large.define(large.output({2, 1536}), at(l, {0, 1}) * at(l, {0, 1}));
  add_cases(cases, "square", large.graph, 6);

  Stages transposed;
  const int a = transposed.input({19, 37}), b = transposed.weight({37});
  transposed.define(transposed.output({37, 19}), at(a, {1, 0}) + at(b, {0}));
  add_cases(cases, "transpose", transposed.graph, 8);

  // Two tensors side by side: a select over the index.
  Stages joined;
  const int p = joined.input({4, 3}), q = joined.input({4, 5});
  joined.define(
      joined.output({4, 8}),
      graph::select(graph::binary(ExprOp::kLt, axis(1), integer(3)),
                    at_index(p, {axis(0), axis(1)}), at_index(q, {axis(0), axis(1) - integer(3)})));
  add_cases(cases, "concatenation", joined.graph);

  Stages scalar;
  const int s = scalar.input({});
  scalar.define(scalar.output({}), at(s, std::vector<int>{}) + constant(1));
  add_cases(cases, "rank 0", scalar.graph);

  Stages whole;
  const int i = whole.input({9}, DType::kI64);
  const Expr value = graph::load(i, ScalarKind::kInt, {axis(0)});
  whole.define(whole.output({9}, DType::kI64),
               graph::binary(ExprOp::kFloorDiv, value * integer(7) - integer(9), integer(4)));
  add_cases(cases, "integers", whole.graph);
  expect_right(cases);
}

TEST_P(ExpertPrograms, NarrowTypes) {
  std::vector<Case> cases;
  std::vector<Stages> all(4);
  const DType types[] = {DType::kF16, DType::kBF16, DType::kF64, DType::kF16};
  for (size_t i = 0; i < 3; ++i) {
    Stages& s = all[i];
    const int x = s.input({4, 48}, types[i]), w = s.weight({48}, types[i]);
    s.define(s.output({4, 48}, types[i]), relu(at(x, {0, 1})) * at(w, {1}) + constant(0.25));
    add_cases(cases, "scale " + std::to_string(i), s.graph, 6);
  }
  // Mean of squares of halves, row by row.
  Stages& s = all[3];
  const int x = s.input({5, 64}, DType::kF16);
  const Expr v = at(x, {0, 1});
  s.reduce(s.output({5}), Combiner::kSum, {64}, v * v,
           graph::reduced(ScalarKind::kReal) * constant(1.0 / 64));
  add_cases(cases, "mean square", s.graph, 8);
  expect_right(cases, 8e-3);
}

TEST_P(ExpertPrograms, SeveralOutputs) {
  std::vector<Case> cases;
  Stages s;
  const int x = s.input({6, 40}), y = s.input({6, 40});
  const int sum = s.output({6, 40}), product = s.output({6, 40}), other = s.output({6, 40});
  s.define(sum, at(x, {0, 1}) + at(y, {0, 1}));
  s.define(product, at(x, {0, 1}) * at(y, {0, 1}));
  s.define(other, relu(at(sum, {0, 1})) + at(x, {0, 1}));
  add_cases(cases, "three", s.graph, 4);
  // The second reads the first in another place: it cannot join.
  Stages crossed;
  const int z = crossed.input({7, 7}), first = crossed.output({7, 7});
  crossed.define(first, at(z, {0, 1}) + constant(1));
  crossed.define(crossed.output({7, 7}), at(first, {1, 0}) * at(z, {0, 1}));
  add_cases(cases, "crossed", crossed.graph, 4);
  expect_right(cases);
  if (GetParam() == "cuda") {
    EXPECT_EQ(cases[1].candidate.program.run.size(), 1u);
  }
}

TEST_P(ExpertPrograms, EveryCombiner) {
  std::vector<Case> cases;
  std::vector<Stages> all(7);
  const Combiner combiners[] = {Combiner::kSum, Combiner::kProd,   Combiner::kMax,
                                Combiner::kMin, Combiner::kArgMax, Combiner::kArgMin,
                                Combiner::kAny};
  for (size_t c = 0; c < all.size(); ++c) {
    Stages& s = all[c];
    const int x = s.input({5, 33, 3});
    const bool arg = combiners[c] == Combiner::kArgMax || combiners[c] == Combiner::kArgMin;
    const DType dtype = arg                              ? DType::kI64
                        : combiners[c] == Combiner::kAny ? DType::kBool
                                                         : DType::kF32;
    Expr body = at(x, {0, 2, 1});
    if (combiners[c] == Combiner::kAny) body = graph::binary(ExprOp::kGt, body, constant(0.97));
    s.reduce(s.output({5, 3}, dtype), combiners[c], {33}, body);
    add_cases(cases, "middle axis " + std::to_string(c), s.graph);
  }
  expect_right(cases);
}

// x[n, ci, h, w] at a window's place, zero outside.
Expr padded(int x, const graph::Shape& shape, const Expr& n, const Expr& c, const Expr& h,
            const Expr& w) {
  const Expr inside =
      graph::binary(ExprOp::kAnd,
                    graph::binary(ExprOp::kAnd, graph::binary(ExprOp::kGe, h, integer(0)),
                                  graph::binary(ExprOp::kLt, h, integer(shape[2]))),
                    graph::binary(ExprOp::kAnd, graph::binary(ExprOp::kGe, w, integer(0)),
                                  graph::binary(ExprOp::kLt, w, integer(shape[3]))));
  return graph::select(inside, at_index(x, {n, c, h, w}), constant(0));
}

Stages convolution(int64_t batch, int64_t in, int64_t out, int64_t size, int64_t kernel,
                   int64_t stride, int64_t pad, int64_t groups) {
  Stages s;
  const graph::Shape shape = {batch, in, size, size};
  const int x = s.input(shape), w = s.weight({out, in / groups, kernel, kernel}),
            bias = s.weight({out});
  const int64_t o = (size + 2 * pad - kernel) / stride + 1;
  const int t = s.temporary({batch, out, o, o});
  Expr channel = axis(4);
  if (groups > 1)
    channel =
        graph::binary(ExprOp::kFloorDiv, axis(1), integer(out / groups)) * integer(in / groups) +
        axis(4);
  const Expr h = axis(2) * integer(stride) + axis(5) - integer(pad),
             v = axis(3) * integer(stride) + axis(6) - integer(pad);
  s.reduce(t, Combiner::kSum, {in / groups, kernel, kernel},
           padded(x, shape, axis(0), channel, h, v) * at(w, {1, 4, 5, 6}));
  s.define(s.output({batch, out, o, o}), relu(at(t, {0, 1, 2, 3}) + at(bias, {1})));
  return s;
}

Stages matmul(int64_t m, int64_t n, int64_t k, DType dtype, bool weight, bool transposed) {
  Stages s;
  const int a = s.input({m, k}, dtype);
  const graph::Shape shape = transposed ? graph::Shape{n, k} : graph::Shape{k, n};
  const int b = weight ? s.weight(shape, dtype) : s.input(shape, dtype);
  s.reduce(s.output({m, n}, dtype), Combiner::kSum, {k},
           at(a, {0, 2}) * (transposed ? at(b, {1, 2}) : at(b, {2, 1})));
  return s;
}

TEST_P(ExpertPrograms, Matmul) {
  std::vector<Case> cases;
  std::vector<Stages> all;
  all.push_back(matmul(37, 53, 29, DType::kF32, false, false));
  all.push_back(matmul(13, 70, 300, DType::kF64, true, true));
  all.push_back(matmul(1, 40, 33, DType::kF32, true, true));
  all.push_back(matmul(24, 64, 160, DType::kF32, false, false));
  all.push_back(matmul(40, 1, 33, DType::kF32, false, true));
  for (size_t i = 0; i < all.size(); ++i)
    add_cases(cases, "matmul " + std::to_string(i), all[i].graph, 7);

  // linear -> heads: the result goes through a reshape and a permutation into the finish.
  Stages heads;
  const int x = heads.input({2, 5, 12}), w = heads.weight({16, 12}), bias = heads.weight({16});
  const int y = heads.temporary({2, 5, 16});
  heads.reduce(y, Combiner::kSum, {12}, at(x, {0, 1, 3}) * at(w, {2, 3}));
  const int z = heads.temporary({2, 5, 16});
  heads.define(z, at(y, {0, 1, 2}) + at(bias, {2}));
  heads.define(heads.output({2, 4, 5, 4}),
               at_index(z, {axis(0), axis(2), axis(1) * integer(4) + axis(3)}));
  add_cases(cases, "heads", heads.graph);

  // Batched, both operands computed on the way in.
  Stages batched;
  const int p = batched.input({3, 9, 17}), q = batched.input({3, 17, 20});
  batched.reduce(batched.output({3, 9, 20}), Combiner::kSum, {17},
                 relu(at(p, {0, 1, 3})) * (at(q, {0, 3, 2}) + constant(1)),
                 graph::reduced(ScalarKind::kReal) * constant(0.5));
  add_cases(cases, "batched", batched.graph);
  expect_right(cases);
}

TEST_P(ExpertPrograms, Convolution) {
  std::vector<Case> cases;
  std::vector<Stages> all;
  all.push_back(convolution(2, 3, 7, 11, 3, 1, 1, 1));
  all.push_back(convolution(1, 4, 6, 12, 3, 2, 1, 2));
  all.push_back(convolution(2, 6, 6, 9, 3, 1, 0, 6));
  all.push_back(convolution(1, 5, 20, 18, 1, 1, 0, 1));
  for (size_t i = 0; i < all.size(); ++i)
    add_cases(cases, "convolution " + std::to_string(i), all[i].graph, 6);
  expect_right(cases);
}

Expr exp_of(const Expr& x) {
  return graph::unary(ExprOp::kExp, x);
}

// softmax over one axis of a rank 3 tensor.
Stages softmax(graph::Shape shape, int over) {
  Stages s;
  graph::Shape rest = shape;
  rest[static_cast<size_t>(over)] = 1;
  const int x = s.input(shape), m = s.temporary(rest), e = s.temporary(shape),
            t = s.temporary(rest);
  std::vector<Expr> along = {axis(0), axis(1), axis(2)}, one = along;
  along[static_cast<size_t>(over)] = axis(3);
  one[static_cast<size_t>(over)] = integer(0);
  const int64_t extent = shape[static_cast<size_t>(over)];
  s.reduce(m, Combiner::kMax, {extent}, at_index(x, along));
  s.define(e, exp_of(at(x, {0, 1, 2}) - at_index(m, one)));
  s.reduce(t, Combiner::kSum, {extent}, at_index(e, along));
  s.define(s.output(shape), graph::binary(ExprOp::kDiv, at(e, {0, 1, 2}), at_index(t, one)));
  return s;
}

TEST_P(ExpertPrograms, Rows) {
  std::vector<Case> cases;
  std::vector<Stages> all;
  all.push_back(softmax({3, 5, 67}, 2));
  all.push_back(softmax({3, 19, 45}, 1));
  all.push_back(softmax({2, 3, 9001}, 2));
  for (size_t i = 0; i < all.size(); ++i)
    add_cases(cases, "softmax " + std::to_string(i), all[i].graph, 8);

  // Group norm: statistics over channels of a group and positions, scale and shift per channel.
  Stages norm;
  const int x = norm.input({2, 6, 5, 8}), w = norm.weight({6}), b = norm.weight({6});
  const int mean = norm.temporary({2, 3}), rstd = norm.temporary({2, 3});
  const Expr group_value = at_index(x, {axis(0), axis(1) * integer(2) + axis(2), axis(3), axis(4)});
  const Expr total = graph::reduced(ScalarKind::kReal) * constant(1.0 / 80);
  norm.reduce(mean, Combiner::kSum, {2, 5, 8}, group_value, total);
  const Expr d = group_value - at(mean, {0, 1});
  norm.reduce(rstd, Combiner::kSum, {2, 5, 8}, d * d,
              graph::unary(ExprOp::kRsqrt, total + constant(1e-5)));
  const std::vector<Expr> of_group = {axis(0),
                                      graph::binary(ExprOp::kFloorDiv, axis(1), integer(2))};
  norm.define(norm.output({2, 6, 5, 8}), (at(x, {0, 1, 2, 3}) - at_index(mean, of_group)) *
                                                 at_index(rstd, of_group) * at(w, {1}) +
                                             at(b, {1}));
  add_cases(cases, "group norm", norm.graph, 8);

  // Batch statistics: rows are strided, the mean is also handed out.
  Stages batch;
  const int y = batch.input({4, 7, 33});
  const int m = batch.output({7}), v = batch.temporary({7});
  const Expr share = graph::reduced(ScalarKind::kReal) * constant(1.0 / 132);
  batch.reduce(m, Combiner::kSum, {4, 33}, at_index(y, {axis(1), axis(0), axis(2)}), share);
  const Expr centred = at_index(y, {axis(1), axis(0), axis(2)}) - at(m, {0});
  batch.reduce(v, Combiner::kSum, {4, 33}, centred * centred, share);
  batch.define(
      batch.output({4, 7, 33}),
      (at(y, {0, 1, 2}) - at(m, {1})) * graph::unary(ExprOp::kRsqrt, at(v, {1}) + constant(1e-5)));
  add_cases(cases, "batch statistics", batch.graph, 8);

  // A dear value along the row, made once, used by the reduction and by the result.
  Stages rms;
  const int g = rms.input({6, 90}), h = rms.temporary({6, 90}), square = rms.temporary({6, 1});
  rms.define(h, exp_of(at(g, {0, 1})) * at(g, {0, 1}));
  rms.reduce(square, Combiner::kSum, {90},
             at_index(h, {axis(0), axis(2)}) * at_index(h, {axis(0), axis(2)}));
  rms.define(rms.output({6, 90}),
             at(h, {0, 1}) * graph::unary(ExprOp::kRsqrt, at_index(square, {axis(0), integer(0)})));
  add_cases(cases, "rms norm", rms.graph, 8);

  Stages logsumexp;
  const int z = logsumexp.input({5, 70}), top = logsumexp.temporary({5, 1}),
            sum = logsumexp.temporary({5, 1});
  logsumexp.reduce(top, Combiner::kMax, {70}, at_index(z, {axis(0), axis(2)}));
  logsumexp.reduce(sum, Combiner::kSum, {70},
                   exp_of(at_index(z, {axis(0), axis(2)}) - at_index(top, {axis(0), integer(0)})));
  logsumexp.define(logsumexp.output({5, 1}),
                   graph::unary(ExprOp::kLog, at(sum, {0, 1})) + at(top, {0, 1}));
  add_cases(cases, "logsumexp", logsumexp.graph, 8);
  expect_right(cases);
}

TEST_P(ExpertPrograms, SoftmaxBetweenContractions) {
  Stages s;
  const int q = s.input({3, 7, 10}), k = s.input({3, 19, 10}), v = s.input({3, 19, 5}),
            scores = s.temporary({3, 7, 19}), top = s.temporary({3, 7}),
            total = s.temporary({3, 7}), weights = s.temporary({3, 7, 19});
  const auto exponential = [&] {
    return graph::unary(ExprOp::kExp, at(scores, {0, 1, 2}) - at(top, {0, 1}));
  };
  s.reduce(scores, Combiner::kSum, {10}, at(q, {0, 1, 3}) * at(k, {0, 2, 3}),
           graph::reduced(ScalarKind::kReal) * constant(0.3));
  s.reduce(top, Combiner::kMax, {19}, at(scores, {0, 1, 2}));
  s.reduce(total, Combiner::kSum, {19}, exponential());
  s.define(weights, graph::binary(ExprOp::kDiv, exponential(), at(total, {0, 1})));
  s.reduce(s.output({3, 7, 5}), Combiner::kSum, {19}, at(weights, {0, 1, 3}) * at(v, {0, 3, 2}));
  std::vector<Case> cases;
  add_cases(cases, "attention", s.graph, 6);
  expect_right(cases);
}

TEST_P(ExpertPrograms, Pooling) {
  std::vector<Case> cases;
  Stages average;
  const int x = average.input({2, 3, 50});
  const Expr place = axis(2) + axis(3) - integer(2);
  const Expr inside = graph::binary(ExprOp::kAnd, graph::binary(ExprOp::kGe, place, integer(0)),
                                    graph::binary(ExprOp::kLt, place, integer(50)));
  average.reduce(average.output({2, 3, 51}), Combiner::kSum, {4},
                 graph::select(inside, at_index(x, {axis(0), axis(1), place}), constant(0)),
                 graph::reduced(ScalarKind::kReal) * constant(0.25));
  add_cases(cases, "average", average.graph, 8);

  Stages largest;
  const graph::Shape shape = {2, 3, 11, 13};
  const int y = largest.input(shape);
  const Expr h = axis(2) * integer(2) + axis(4) - integer(1),
             w = axis(3) * integer(2) + axis(5) - integer(1);
  const Expr value = padded(y, shape, axis(0), axis(1), h, w);
  largest.reduce(largest.output({2, 3, 6, 7}), Combiner::kMax, {3, 3}, value);
  add_cases(cases, "largest", largest.graph, 8);

  Stages everything;
  const int z = everything.input({3, 40, 50});
  everything.reduce(everything.output({}), Combiner::kSum, {3, 40, 50}, at(z, {0, 1, 2}));
  add_cases(cases, "whole sum", everything.graph, 4);

  Stages longest;
  const int v = longest.input({2, 300, 256});
  longest.reduce(longest.output({2}), Combiner::kMax, {300, 256}, at(v, {0, 1, 2}),
                 graph::reduced(ScalarKind::kReal) + constant(1));
  add_cases(cases, "long rows", longest.graph, 3);

  Stages columns;
  const int c = columns.input({3000, 40});
  columns.reduce(columns.output({40}), Combiner::kSum, {3000}, at_index(c, {axis(1), axis(0)}),
                 graph::reduced(ScalarKind::kReal) * constant(1.0 / 3000));
  add_cases(cases, "columns", columns.graph, 8);
  expect_right(cases);
}

TEST_P(ExpertPrograms, RandomShapes) {
  std::mt19937 random(20);
  auto up_to = [&](int64_t most) {
    return std::uniform_int_distribution<int64_t>(1, most)(random);
  };
  std::vector<Stages> all;
  for (int round = 0; round < 4; ++round) {
    all.push_back(
        matmul(up_to(40), up_to(70), up_to(80), DType::kF32, round % 2 == 0, round % 3 == 0));
    all.push_back(softmax({up_to(4), up_to(40), up_to(80)}, round % 2 + 1));
    all.push_back(convolution(up_to(2), up_to(4), up_to(9), 5 + up_to(8), 1 + up_to(2), up_to(2),
                              up_to(2) - 1, 1));
  }
  std::vector<Case> cases;
  for (size_t i = 0; i < all.size(); ++i)
    add_cases(cases, "random " + std::to_string(i), all[i].graph, 2);
  expect_right(cases);
}

}  // namespace
}  // namespace kernelwright::expert

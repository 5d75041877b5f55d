// SPDX-License-Identifier: Apache-2.0
// Programs of the expert, compiled and run, against the interpreter.
#include <gtest/gtest.h>

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

// The naive program and the first `count` proposals for a graph.
void add_cases(std::vector<Case>& cases, const std::string& name, const graph::StageGraph& graph, int count = 4) {
  ExpertOptions options;
  options.threads = 2;
  auto naive = naive_program(graph, options);
  ASSERT_TRUE(naive.has_value()) << naive.error().text();
  cases.push_back({name + " naive", &graph, *naive});
  auto expert = make_expert(graph, kernelwright::testing::plain_machine(), options);
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
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, tolerance)) ADD_FAILURE() << failure;
}

Expr relu(const Expr& x) { return graph::binary(ExprOp::kMax, x, constant(0)); }

TEST(ExpertPrograms, Pointwise) {
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
  joined.define(joined.output({4, 8}), graph::select(graph::binary(ExprOp::kLt, axis(1), integer(3)), at_index(p, {axis(0), axis(1)}),
                                                     at_index(q, {axis(0), axis(1) - integer(3)})));
  add_cases(cases, "concatenation", joined.graph);

  Stages scalar;
  const int s = scalar.input({});
  scalar.define(scalar.output({}), at(s, std::vector<int>{}) + constant(1));
  add_cases(cases, "rank 0", scalar.graph);

  Stages whole;
  const int i = whole.input({9}, DType::kI64);
  const Expr value = graph::load(i, ScalarKind::kInt, {axis(0)});
  whole.define(whole.output({9}, DType::kI64), graph::binary(ExprOp::kFloorDiv, value * integer(7) - integer(9), integer(4)));
  add_cases(cases, "integers", whole.graph);
  expect_right(cases);
}

TEST(ExpertPrograms, EveryCombiner) {
  std::vector<Case> cases;
  std::vector<Stages> all(7);
  const Combiner combiners[] = {Combiner::kSum, Combiner::kProd, Combiner::kMax, Combiner::kMin, Combiner::kArgMax, Combiner::kArgMin, Combiner::kAny};
  for (size_t c = 0; c < all.size(); ++c) {
    Stages& s = all[c];
    const int x = s.input({5, 33, 3});
    const bool arg = combiners[c] == Combiner::kArgMax || combiners[c] == Combiner::kArgMin;
    const DType dtype = arg ? DType::kI64 : combiners[c] == Combiner::kAny ? DType::kBool : DType::kF32;
    Expr body = at(x, {0, 2, 1});
    if (combiners[c] == Combiner::kAny) body = graph::binary(ExprOp::kGt, body, constant(0.97));
    s.reduce(s.output({5, 3}, dtype), combiners[c], {33}, body);
    add_cases(cases, "middle axis " + std::to_string(c), s.graph);
  }
  expect_right(cases);
}

}  // namespace
}  // namespace kernelwright::expert

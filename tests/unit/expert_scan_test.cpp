// SPDX-License-Identifier: Apache-2.0
// Scans: recognized in every form that ops and fusion give them, and compiled for every target.
#include <gtest/gtest.h>

#include "expert/expert.h"
#include "graph/analysis.h"
#include "graph/scan.h"
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
using kernelwright::testing::at_index;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;

// r <= bound (or r >= bound) ? value : neutral
Expr term(ExprOp op, const Expr& r, const Expr& bound, const Expr& value, Combiner combiner) {
  return graph::select(graph::binary(op, r, bound), value,
                       graph::neutral_element(combiner, value->kind));
}

TEST(MatchScan, KnowsTheBoundInEveryForm) {
  const std::vector<int64_t> extents = {3, 8, 8};
  const Expr r = axis(2), i = axis(1), x = at_index(0, {axis(0), r});
  auto match = [&](const Expr& body, Combiner combiner = Combiner::kSum) {
    return graph::match_scan(combiner, body, extents, 2);
  };
  auto scan = match(term(ExprOp::kLe, r, i, x, Combiner::kSum));
  ASSERT_TRUE(scan.has_value());
  EXPECT_EQ(scan->along, 1);
  EXPECT_EQ(scan->over, 2);
  EXPECT_FALSE(scan->suffix);
  EXPECT_FALSE(scan->falling());
  EXPECT_TRUE(scan->in_step(extents));
  // Without the element itself: i > r.
  scan = match(term(ExprOp::kGt, i, r, x, Combiner::kSum));
  ASSERT_TRUE(scan.has_value());
  EXPECT_FALSE(scan->suffix);
  EXPECT_EQ(scan->offset, -1);
  EXPECT_FALSE(scan->in_step(extents));
  // From behind: r >= i; and read through a flip: r <= 7 - i.
  scan = match(term(ExprOp::kGe, r, i, x, Combiner::kSum));
  ASSERT_TRUE(scan.has_value());
  EXPECT_TRUE(scan->suffix);
  EXPECT_TRUE(scan->falling());
  EXPECT_TRUE(scan->in_step(extents));
  scan = match(term(ExprOp::kLe, r, integer(7) - i, x, Combiner::kSum));
  ASSERT_TRUE(scan.has_value());
  EXPECT_EQ(scan->direction, -1);
  EXPECT_TRUE(scan->falling());
  EXPECT_TRUE(scan->in_step(extents));
  // What is no scan: a term that moves with the output, another neutral, a bound with a factor.
  EXPECT_FALSE(match(term(ExprOp::kLe, r, i, at_index(0, {axis(0), i}), Combiner::kSum)));
  EXPECT_FALSE(match(term(ExprOp::kLe, r, i, x, Combiner::kProd)));
  EXPECT_FALSE(match(term(ExprOp::kLe, r, i * integer(2), x, Combiner::kSum)));
  EXPECT_FALSE(match(term(ExprOp::kLe, r, i, x, Combiner::kSum), Combiner::kArgMax));
}

class ExpertScans : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Targets, ExpertScans, ::testing::Values("cpu", "cuda"),
                         [](const auto& param) { return param.param; });

TEST_P(ExpertScans, RightInEveryForm) {
  std::vector<Stages> all(7);
  auto define = [](Stages& s, graph::Shape shape, int along, Combiner combiner, ExprOp op,
                   const Expr& bound, Expr finish = nullptr) {
    const int rank = static_cast<int>(shape.size());
    const int x = s.input(shape);
    std::vector<Expr> index;
    for (int a = 0; a < rank; ++a) index.push_back(axis(a == along ? rank : a));
    const int64_t length = shape[static_cast<size_t>(along)];
    s.reduce(s.output(shape), combiner, {length},
             term(op, axis(rank), bound, at_index(x, index) + constant(0.25), combiner),
             std::move(finish));
  };
  define(all[0], {6, 277}, 1, Combiner::kSum, ExprOp::kLe, axis(1));
  define(all[1], {6, 77}, 1, Combiner::kSum, ExprOp::kLt, axis(1));
  define(all[2], {5, 70}, 1, Combiner::kSum, ExprOp::kGe, axis(1),
         graph::reduced(ScalarKind::kReal) * constant(2));
  define(all[3], {4, 33}, 1, Combiner::kMax, ExprOp::kLe, integer(32) - axis(1));
  define(all[4], {3, 9, 37}, 1, Combiner::kProd, ExprOp::kLe, axis(1));
  define(all[5], {90}, 0, Combiner::kSum, ExprOp::kLe, axis(0));
  // Work is counted for one pass: an addition for the value, one for the sum.
  EXPECT_EQ(graph::count_work(all[0].graph).other_flops, 6 * 277 * 2);
  // Positions of the records so far, in integers.
  Stages& s = all[6];
  const int x = s.input({4, 40}, DType::kI64);
  const Expr value = graph::load(x, ScalarKind::kInt, {axis(0), axis(2)});
  s.reduce(s.output({4, 40}, DType::kI64), Combiner::kMax, {40},
           term(ExprOp::kLe, axis(2), axis(1), value * axis(2), Combiner::kMax));

  std::vector<Case> cases;
  ExpertOptions options;
  options.threads = 2;
  options.target = GetParam();
  for (size_t i = 0; i < all.size(); ++i) {
    auto naive = naive_program(all[i].graph, options);
    ASSERT_TRUE(naive.has_value()) << naive.error().text();
    cases.push_back({std::to_string(i) + " naive", &all[i].graph, *naive});
    auto expert =
        make_expert(all[i].graph, kernelwright::testing::plain_machine(GetParam()), options);
    ASSERT_TRUE(expert.has_value()) << expert.error().text();
    auto proposals = (*expert)->propose(4);
    ASSERT_TRUE(proposals.has_value()) << proposals.error().text();
    ASSERT_FALSE(proposals->empty());
    // On a GPU other families are as good at rows as short as these.
    if (GetParam() == "cpu") {
      EXPECT_NE((*proposals)[0].idea.find("scan"), std::string::npos) << i;
    }
    for (auto& proposal : *proposals)
      cases.push_back(
          {std::to_string(i) + " | " + proposal.idea, &all[i].graph, proposal.candidate});
  }
  for (const Case& c : cases) {
    auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases))
    ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
// Rules against the interpreter, in fp64, on chains drawn at random. tests/cases/rewrite says where
// each of them applies.
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <set>

#include "expert/expert.h"
#include "rewrite/fuse.h"
#include "rewrite/rules.h"
#include "support/chain.h"
#include "support/compiled.h"

namespace kernelwright::rewrite {
namespace {

using kernelwright::testing::chain;
using kernelwright::testing::difference;
using kernelwright::testing::random_data;

// Ops that fit after each other; extents stay small.
std::string random_chain(std::mt19937_64& random) {
  const auto pick = [&](std::initializer_list<const char*> ops) {
    return *(ops.begin() + std::uniform_int_distribution<size_t>(0, ops.size() - 1)(random));
  };
  const bool image = random() % 2 == 0;
  std::string text = image ? "input 2x3x9x9\n" : "input 4x6\n";
  bool spatial = image;
  for (int i = 0; i < 5; ++i) {
    std::string op;
    if (spatial)
      op = pick({"conv 4 3 1", "conv 2 2", "norm", "scale", "shift", "times -0.5", "relu", "copy",
                 "avg_pool 2 2", "max_pool 2 2", "avg_pool 2 1", "clamp -0.5 0.75", "neg",
                 "mean_rest", "plus 2", "twice"});
    else
      op = pick({"linear 3", "matmul 5", "norm", "scale", "shift", "times 3", "relu", "copy",
                 "sum 1", "mean 1", "max 1", "clamp -1 1", "neg", "linear 7", "min 0", "sum 0"});
    text += op + "\n";
    if (op == "mean_rest" || op.find("_pool") != std::string::npos) spatial = spatial && i < 1;
    if (op == "conv 2 2" && i > 1) spatial = false;
  }
  return text;
}

TEST(Rules, KeepTheResultOfRandomChains) {
  std::mt19937_64 random(20);
  std::set<std::string> seen;
  RuleOptions options;
  options.ceilings = {20e9, 100e9};
  options.always = true;
  for (int i = 0; i < 30; ++i) {
    const std::string text = random_chain(random);
    SCOPED_TRACE(text);
    const graph::StageGraph graph = chain(text);
    const Rewritten rewritten = apply_rules(graph, options);
    for (const Applied& applied : rewritten.applied) seen.insert(applied.rule);
    EXPECT_LT(difference(graph, rewritten.graph, random_data(graph, random())), 1e-9)
        << graph.text() << rewritten.graph.text();
  }
  EXPECT_GE(seen.size(), rules().size() - 1);
}

TEST(Rules, ExactOnesHoldForNanAndInfinity) {
  const double inf = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  RuleOptions options;
  options.ceilings = {20e9, 100e9};
  options.rounding = false;
  for (const char* text :
       {"input 2x3x4x4\nmax_pool 2 2\nmax_pool 2 2\nclamp -1 1\nclamp -0.5 2\nneg\nneg\n",
        "input 2x3x4x4\nmax 3\nmax 2\nrelu\nclamp 0 6\ntwice\n",
        "input 2x3x4x4\nmin 1\nmax 1\nclamp 2 3\nrelu\n"}) {
    const graph::StageGraph graph = chain(text);
    const Rewritten rewritten = apply_rules(graph, options);
    EXPECT_FALSE(rewritten.applied.empty());
    EXPECT_FALSE(rewritten.rounding);
    auto data = random_data(graph, 3);
    for (auto& [tensor, host] : data)
      for (size_t i = 0; i < host.data.size(); i += 3)
        host.data[i] = i % 9 == 0 ? nan : i % 9 == 3 ? inf : -inf;
    EXPECT_EQ(difference(graph, rewritten.graph, data), 0) << rewritten.graph.text();
  }
}

TEST(Rules, DeadStagesGo) {
  graph::StageGraph graph = chain("input 4x5\nexp\nneg\n");
  graph.stages[1].body = graph::load(0, graph::ScalarKind::kReal, {graph::axis(0), graph::axis(1)});
  const Rewritten rewritten = apply_rules(graph, {});
  EXPECT_EQ(rewritten.graph.stages.size(), 1u);
}

// What is made of weights alone is made by `prepare`, and read as a packed buffer.
TEST(Rules, WhatFollowsFromWeightsIsPrepared) {
  const graph::StageGraph graph =
      chain("input 16x24\nlinear 40\nnorm\nmean 1\n", graph::DType::kF32);
  for (const char* target : {"cpu", "cuda"}) {
    expert::ExpertOptions options;
    options.threads = 2;
    options.target = target;
    auto expert = expert::make_expert(graph, kernelwright::testing::plain_machine(target), options);
    ASSERT_TRUE(expert.has_value()) << expert.error().text();
    auto proposals = (*expert)->propose(4);
    ASSERT_TRUE(proposals.has_value()) << proposals.error().text();
    ASSERT_GE(proposals->size(), 2u);
    const program::Proposal& first = (*proposals)[0];
    EXPECT_EQ(first.candidate.program.run.size(), 1u);
    EXPECT_GE(first.candidate.program.prepare.size(), 1u);
    EXPECT_EQ(first.schedule.count("rule/sums exchanged/op2"), 1u);
    EXPECT_EQ((*proposals)[1].schedule.count("rule/sums exchanged/op2"), 0u);
    std::vector<kernelwright::testing::Case> cases;
    for (auto& proposal : *proposals) cases.push_back({proposal.idea, &graph, proposal.candidate});
    for (const auto& failure : kernelwright::testing::run_and_compare(cases, 1e-4))
      ADD_FAILURE() << failure;
  }
}

// A program may be as fast as the rewritten region allows, or it would be taken for a cheat.
TEST(Rules, TheLeastWorkIsThatOfTheRewrittenForm) {
  const graph::StageGraph graph = chain("input 64x128\nlinear 256\nsum 1\n");
  const graph::Work least = least_work(graph, {20e9, 100e9}), work = graph::count_work(graph);
  EXPECT_GE(work.contraction_flops, 2.0 * 64 * 128 * 256);
  EXPECT_LE(least.contraction_flops + least.other_flops, 2.1 * 64 * 128);
  EXPECT_LT(least.bytes, work.bytes);
  const graph::StageGraph plain = chain("input 64x128\nrelu\n");
  EXPECT_EQ(least_work(plain, {20e9, 100e9}).bytes, graph::count_work(plain).bytes);
}

// A rule that the problem's noise does not allow is given up.
TEST(Rules, TheFormThatIsRightGoesOn) {
  const graph::StageGraph graph = chain("input 16x24\nlinear 40\nmean 1\n", graph::DType::kF32);
  expert::ExpertOptions options;
  auto expert = expert::make_expert(graph, kernelwright::testing::plain_machine(), options);
  ASSERT_TRUE(expert.has_value());
  auto first = (*expert)->propose(4);
  ASSERT_TRUE(first.has_value());
  for (const auto& proposal : *first) {
    program::Outcome outcome;
    outcome.candidate_id = program::candidate_id(proposal.candidate);
    const bool rewritten = proposal.schedule.count("rule/sums exchanged/op1") != 0;
    outcome.correct = !rewritten;
    outcome.verdict = rewritten ? "wrong" : "accepted";
    outcome.seconds = rewritten ? 0 : 1;
    (*expert)->learn(outcome);
  }
  auto next = (*expert)->propose(4);
  ASSERT_TRUE(next.has_value());
  ASSERT_FALSE(next->empty());
  for (const auto& proposal : *next)
    EXPECT_EQ(proposal.schedule.count("rule/sums exchanged/op1"), 0u) << proposal.idea;
}

}  // namespace
}  // namespace kernelwright::rewrite

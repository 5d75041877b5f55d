// SPDX-License-Identifier: Apache-2.0
// Contractions of bf16 pairs (families/register_tile.h): where they are offered, and every kind of
// schedule compiled and run on whole numbers, which bf16 holds and f32 sums without rounding.
#include <gtest/gtest.h>

#include <random>

#include "expert/families/contraction.h"
#include "kernelwright/runtime.h"
#include "program/validate.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using graph::axis;
using graph::Combiner;
using graph::Expr;
using kernelwright::testing::at;
using kernelwright::testing::at_index;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;
using target::Policy;

const ContractionFamily& pair_family() {
  static const ContractionFamily it;
  return it;
}

target::MachineModel with_pairs() {
  target::MachineModel model = kernelwright::testing::plain_machine();
  model.vector_bytes = 64;
  model.rates.push_back({"bf16", graph::DType::kBF16, 4e11});
  return model;
}

Stages paired_product(int64_t m, int64_t k, int64_t n, bool constant_b = true,
                      graph::DType dtype = graph::DType::kF32) {
  Stages s;
  const int a = s.input({m, k}, dtype);
  const int b = constant_b ? s.weight({k, n}, dtype) : s.input({k, n}, dtype);
  const int t = s.temporary({m, n}, dtype), bias = s.weight({n}, dtype);
  s.reduce(t, Combiner::kSum, {k}, at(a, {0, 2}) * at(b, {2, 1}));
  s.define(s.output({m, n}, dtype),
           graph::binary(graph::ExprOp::kMax, at(t, {0, 1}) + at(bias, {1}), graph::constant(0)));
  return s;
}

// 3 taps over length, channels first: rows of the innermost axis are short and many.
Stages paired_convolution(int64_t batch, int64_t in, int64_t out, int64_t length) {
  Stages s;
  const int x = s.input({batch, in, length + 2}), w = s.weight({out, in, 3});
  s.reduce(s.output({batch, out, length}), Combiner::kSum, {in, 3},
           at_index(x, {axis(0), axis(3), axis(2) + axis(4)}) * at(w, {1, 3, 4}));
  return s;
}

std::vector<int64_t> offered(const Stages& s, const target::MachineModel& model, Policy policy) {
  const rewrite::FusedGraph fused = rewrite::fuse(s.graph);
  const OpContext context(fused, fused.ops.at(0), model, 2, policy);
  for (const Knob& knob : pair_family().space(context))
    if (knob.name == "pairs") return knob.choices;
  return {};
}

TEST(Pairs, AreOfferedOnlyWherePolicyAndMachineAllow) {
  const Stages product = paired_product(16, 32, 48);
  using Choices = std::vector<int64_t>;
  EXPECT_EQ(offered(product, with_pairs(), Policy::kBf16), Choices({1, 0}));
  EXPECT_EQ(offered(product, with_pairs(), Policy::kStrict), Choices({0}));
  EXPECT_EQ(offered(product, with_pairs(), Policy::kFp16), Choices({0}));
  EXPECT_EQ(offered(product, kernelwright::testing::plain_machine(), Policy::kBf16), Choices({0}));
  const Stages wide = paired_product(16, 32, 48, true, graph::DType::kF64);
  EXPECT_EQ(offered(wide, with_pairs(), Policy::kBf16), Choices({0}));
}

std::map<int, graph::HostTensor> whole_numbers(const graph::StageGraph& graph) {
  std::mt19937 random(3);
  std::uniform_int_distribution<int> digit(-9, 9);
  std::map<int, graph::HostTensor> bindings;
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    const auto& tensor = graph.tensors[t];
    if (tensor.role != graph::TensorRole::kInput && tensor.role != graph::TensorRole::kWeight)
      continue;
    graph::HostTensor host{tensor.type, {}};
    for (int64_t i = 0; i < tensor.type.elements(); ++i) host.data.push_back(digit(random));
    bindings[static_cast<int>(t)] = std::move(host);
  }
  return bindings;
}

TEST(Pairs, MultiplyAndAdd) {
  std::vector<Stages> all;
  all.push_back(paired_product(13, 37, 70));        // odd k: the last stands alone
  all.push_back(paired_product(30, 300, 33));       // sums in blocks
  all.push_back(paired_product(5, 2, 100, false));  // both sides packed for each call
  all.push_back(paired_product(9, 1, 40));          // a single k
  all.push_back(paired_product(17, 64, 48, true, graph::DType::kBF16));
  all.push_back(paired_convolution(2, 5, 7, 19));
  const target::MachineModel model = with_pairs();
  std::vector<Case> cases;
  for (const Stages& s : all) {
    const rewrite::FusedGraph fused = rewrite::fuse(s.graph);
    ASSERT_EQ(fused.ops.size(), 1U);
    const OpContext context(fused, fused.ops[0], model, 2, Policy::kBf16);
    std::vector<Schedule> legal;
    for (const Schedule& schedule : enumerate(pair_family().space(context), 3000))
      if (schedule.at("pairs") == 1 && pair_family().legal(context, schedule))
        legal.push_back(schedule);
    ASSERT_FALSE(legal.empty());
    for (size_t i = 0; i < 4; ++i) {
      const Schedule& schedule = legal[i * (legal.size() - 1) / 3];
      EXPECT_GT(pair_family().predict_seconds(context, schedule), 0);
      ProgramBuilder builder(fused.tensors, "cpu");
      builder.begin_op(fused.ops[0]);
      ASSERT_TRUE(pair_family().emit(context, schedule, builder));
      cases.push_back(
          {schedule_text(schedule), &s.graph, builder.finish(), whole_numbers(s.graph)});
    }
  }
  for (const Case& c : cases) {
    const auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
    EXPECT_NE(c.candidate.source.find("_mm512_dpbf16_ps"), std::string::npos) << c.name;
  }
  if (std::string(kw_cpu_features()).find("avx512bf16") == std::string::npos)
    GTEST_SKIP() << "the programs were written, but this processor has no AVX512-BF16 to run them";
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, 1e-7))
    ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
// The expert's CPU programs on another instruction set: built for 64-bit ARM, run by an emulator.
#include <gtest/gtest.h>

#include <algorithm>

#include "expert/expert.h"
#include "support/arm.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using graph::axis;
using graph::Combiner;
using graph::Expr;
using graph::ExprOp;
using kernelwright::testing::ArmRun;
using kernelwright::testing::at;
using kernelwright::testing::at_index;
using kernelwright::testing::Case;
using kernelwright::testing::On;
using kernelwright::testing::Stages;

// As wide as NEON.
target::MachineModel neon_machine() {
  target::MachineModel model = kernelwright::testing::plain_machine("cpu");
  model.vector_bytes = 16;
  return model;
}

void add_arm_cases(std::vector<Case>& cases, const std::string& name,
                   const graph::StageGraph& graph) {
  ExpertOptions options;
  options.threads = 2;
  auto expert = make_expert(graph, neon_machine(), options);
  ASSERT_TRUE(expert.has_value()) << expert.error().text();
  auto proposals = (*expert)->propose(3);
  ASSERT_TRUE(proposals.has_value() && !proposals->empty());
  for (auto& proposal : *proposals)
    cases.push_back({name + " | " + proposal.idea, &graph, proposal.candidate});
}

Stages arm_activation() {
  Stages s;
  const int x = s.input({33, 70}), y = s.output({33, 70});
  s.define(y,
           graph::unary(ExprOp::kTanh, at(x, {0, 1})) * graph::unary(ExprOp::kExp, at(x, {0, 1})));
  return s;
}

Stages arm_rows() {
  Stages s;
  const int x = s.input({9, 130}), m = s.temporary({9}), e = s.temporary({9, 130}),
            t = s.temporary({9}), y = s.output({9, 130});
  s.reduce(m, Combiner::kMax, {130}, at(x, {0, 1}));
  s.define(e, graph::unary(ExprOp::kExp, at(x, {0, 1}) - at(m, {0})));
  s.reduce(t, Combiner::kSum, {130}, at(e, {0, 1}));
  s.define(y, graph::binary(ExprOp::kDiv, at(e, {0, 1}), at(t, {0})));
  return s;
}

Stages arm_product() {
  Stages s;
  const int a = s.input({37, 65}), b = s.weight({65, 50}), c = s.temporary({37, 50}),
            y = s.output({37, 50});
  s.reduce(c, Combiner::kSum, {65}, at(a, {0, 2}) * at(b, {2, 1}));
  s.define(y, graph::binary(ExprOp::kMax, at(c, {0, 1}), graph::constant(0)));
  return s;
}

Stages arm_convolution() {
  Stages s;
  const int x = s.input({2, 5, 12, 13}), w = s.weight({7, 5, 3, 3}), y = s.output({2, 7, 10, 11});
  s.reduce(y, Combiner::kSum, {5, 3, 3},
           at_index(x, {axis(0), axis(4), axis(2) + axis(5), axis(3) + axis(6)}) *
               at_index(w, {axis(1), axis(4), axis(5), axis(6)}));
  return s;
}

Stages arm_running_sum() {
  Stages s;
  const int x = s.input({5, 150});
  s.reduce(s.output({5, 150}), Combiner::kSum, {150},
           graph::select(graph::binary(ExprOp::kLe, axis(2), axis(1)), at(x, {0, 2}),
                         graph::constant(0)));
  return s;
}

// The largest of three neighbours, over rows with a border.
Stages arm_window() {
  Stages s;
  const int x = s.input({6, 4, 21});
  const Expr place = axis(2) + axis(3) - graph::integer(1);
  const Expr inside =
      graph::binary(ExprOp::kAnd, graph::binary(ExprOp::kGe, place, graph::integer(0)),
                    graph::binary(ExprOp::kLt, place, graph::integer(21)));
  s.reduce(s.output({6, 4, 21}), Combiner::kMax, {3},
           graph::select(inside, at_index(x, {axis(0), axis(1), place}), graph::constant(-1e30)));
  return s;
}

TEST(OnArm, FamiliesAreRight) {
  if (const std::string missing = ArmRun::missing(); !missing.empty()) GTEST_SKIP() << missing;
  const Stages point = arm_activation(), soft = arm_rows(), matrix = arm_product(),
               filter = arm_convolution(), running = arm_running_sum(), window = arm_window();
  std::vector<Case> cases;
  add_arm_cases(cases, "pointwise", point.graph);
  add_arm_cases(cases, "rows", soft.graph);
  add_arm_cases(cases, "product", matrix.graph);
  add_arm_cases(cases, "convolution", filter.graph);
  add_arm_cases(cases, "running sum", running.graph);
  add_arm_cases(cases, "window", window.graph);
  auto some = [&](const std::string& text) {
    return std::any_of(cases.begin(), cases.end(), [&](const Case& c) {
      return c.candidate.source.find(text) != std::string::npos;
    });
  };
  EXPECT_TRUE(some("kw_scan<"));
  EXPECT_TRUE(some("const image ="));
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, 2e-5, On::kArm))
    ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
// Attention by online softmax (families/attention.h): what is recognized, and every kind of
// schedule compiled and run against the interpreter, which works in fp64.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "expert/expert.h"
#include "expert/families/attention.h"
#include "expert/families/attention_plan.h"
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
using graph::HostTensor;
using graph::integer;
using kernelwright::testing::at;
using kernelwright::testing::at_index;
using kernelwright::testing::Case;
using kernelwright::testing::Stages;

enum class AttentionMask : uint8_t { kNone, kCausal, kAdditive, kBoolean, kBooleanZeros };

struct AttentionShape {
  int64_t batch = 2, heads = 2, rows = 9, keys = 21, depth = 8, columns = 16;
  AttentionMask mask = AttentionMask::kNone;
  int64_t groups = 1;          // query heads per key head
  bool packed_heads = false;   // operands are [batch, position, head * depth]
  bool exp_stage = false;      // exp(s - m) is a tensor of its own
  bool second_reader = false;  // the scores are an output too
  bool other_axis = false;     // softmax over the rows
  bool finish = false;         // scaled and biased at the end
  DType dtype = DType::kF32;
};

struct BuiltAttention {
  Stages s;
  int mask = -1;
};

Expr attention_exp(const Expr& x) {
  return graph::unary(ExprOp::kExp, x);
}

BuiltAttention attention_of(const AttentionShape& v) {
  BuiltAttention built;
  Stages& s = built.s;
  const int64_t key_heads = v.heads / v.groups;
  const auto operand = [&](int64_t heads, int64_t length, int64_t width) {
    return v.packed_heads ? s.input({v.batch, length, heads * width}, v.dtype)
                          : s.input({v.batch, heads, length, width}, v.dtype);
  };
  const int q = operand(v.heads, v.rows, v.depth), k = operand(key_heads, v.keys, v.depth),
            w = operand(key_heads, v.keys, v.columns);
  const auto element = [&](int tensor, const Expr& head, const Expr& at_row, const Expr& x,
                           int64_t width) {
    return v.packed_heads ? at_index(tensor, {axis(0), at_row, head * integer(width) + x})
                          : at_index(tensor, {axis(0), head, at_row, x});
  };
  const Expr key_head =
      v.groups == 1 ? axis(1) : graph::binary(ExprOp::kFloorDiv, axis(1), integer(v.groups));
  const graph::Shape all = {v.batch, v.heads, v.rows, v.keys};
  const int scores = v.second_reader ? s.output(all) : s.temporary(all);
  Expr score = graph::reduced(graph::ScalarKind::kReal) *
               constant(1 / std::sqrt(static_cast<double>(v.depth)));
  const Expr nothing = constant(-HUGE_VAL);
  const Expr causal = graph::binary(ExprOp::kLe, axis(3), axis(2));
  if (v.mask == AttentionMask::kAdditive) {
    built.mask = s.input({v.rows, v.keys});
    score = score + at(built.mask, {2, 3});
  } else if (v.mask == AttentionMask::kBoolean || v.mask == AttentionMask::kBooleanZeros) {
    built.mask = s.input({v.batch, 1, v.rows, v.keys}, DType::kBool);
    score = graph::select(
        graph::load(built.mask, graph::ScalarKind::kBool, {axis(0), integer(0), axis(2), axis(3)}),
        score, nothing);
  } else if (v.mask == AttentionMask::kCausal) {
    score = graph::select(causal, score, nothing);
  }
  s.reduce(scores, Combiner::kSum, {v.depth},
           element(q, axis(1), axis(2), axis(4), v.depth) *
               element(k, key_head, axis(3), axis(4), v.depth),
           score);
  Expr probability;
  if (v.other_axis) {
    const graph::Shape columns = {v.batch, v.heads, v.keys};
    const int top = s.temporary(columns), total = s.temporary(columns);
    s.reduce(top, Combiner::kMax, {v.rows}, at(scores, {0, 1, 3, 2}));
    s.reduce(total, Combiner::kSum, {v.rows},
             attention_exp(at(scores, {0, 1, 3, 2}) - at(top, {0, 1, 2})));
    probability =
        graph::binary(ExprOp::kDiv, attention_exp(at(scores, {0, 1, 2, 3}) - at(top, {0, 1, 3})),
                      at(total, {0, 1, 3}));
  } else {
    const int top = s.temporary({v.batch, v.heads, v.rows}),
              total = s.temporary({v.batch, v.heads, v.rows});
    s.reduce(top, Combiner::kMax, {v.keys}, at(scores, {0, 1, 2, 3}));
    Expr e = attention_exp(at(scores, {0, 1, 2, 3}) - at(top, {0, 1, 2}));
    if (v.exp_stage) {
      const int kept = s.temporary(all);
      s.define(kept, e);
      e = at(kept, {0, 1, 2, 3});
    }
    s.reduce(total, Combiner::kSum, {v.keys}, e);
    probability = graph::binary(ExprOp::kDiv, e, at(total, {0, 1, 2}));
    if (v.mask == AttentionMask::kBooleanZeros)
      probability = graph::select(graph::binary(ExprOp::kEq, at(top, {0, 1, 2}), nothing),
                                  constant(0), probability);
  }
  const int weights = s.temporary(all);
  s.define(weights, probability);
  Expr weight = at(weights, {0, 1, 2, 4});
  if (v.mask == AttentionMask::kCausal)
    weight = graph::select(graph::binary(ExprOp::kLe, axis(4), axis(2)), weight, constant(0));
  const Expr product = weight * element(w, key_head, axis(4), axis(3), v.columns);
  const graph::Shape result = {v.batch, v.heads, v.rows, v.columns};
  if (!v.finish) {
    s.reduce(s.output(result, v.dtype), Combiner::kSum, {v.keys}, product);
    return built;
  }
  // [batch, row, head * column], with a bias.
  const int out = s.temporary(result), bias = s.weight({v.heads * v.columns});
  s.reduce(out, Combiner::kSum, {v.keys}, product);
  s.define(s.output({v.batch, v.rows, v.heads * v.columns}, v.dtype),
           at_index(out, {axis(0), graph::binary(ExprOp::kFloorDiv, axis(2), integer(v.columns)),
                          axis(1), graph::binary(ExprOp::kMod, axis(2), integer(v.columns))}) *
                   constant(0.5) +
               at(bias, {2}));
  return built;
}

const AttentionFamily& attention_family() {
  static const AttentionFamily it;
  return it;
}

bool recognized(const AttentionShape& shape) {
  const BuiltAttention built = attention_of(shape);
  const rewrite::FusedGraph fused = rewrite::fuse(built.s.graph);
  if (fused.joined.empty()) return false;
  EXPECT_EQ(fused.joined.size(), 1U);
  EXPECT_GE(fused.joined[0].parts.size(), 3U);
  const target::MachineModel model = kernelwright::testing::plain_machine();
  return attention_family().accepts(OpContext(fused, fused.joined[0].op, model, 2));
}

TEST(Attention, IsRecognized) {
  EXPECT_TRUE(recognized({}));
  for (const AttentionMask mask : {AttentionMask::kCausal, AttentionMask::kAdditive,
                                   AttentionMask::kBoolean, AttentionMask::kBooleanZeros}) {
    AttentionShape shape;
    shape.mask = mask;
    EXPECT_TRUE(recognized(shape)) << static_cast<int>(mask);
  }
  AttentionShape shape;
  shape.packed_heads = shape.finish = true;
  EXPECT_TRUE(recognized(shape));
  shape.exp_stage = true;
  EXPECT_TRUE(recognized(shape));
  shape.groups = 2;
  EXPECT_TRUE(recognized(shape));
}

TEST(Attention, IsNotRecognized) {
  AttentionShape shape;
  shape.second_reader = true;
  EXPECT_FALSE(recognized(shape));
  shape = {};
  shape.other_axis = true;
  EXPECT_FALSE(recognized(shape));
  shape.keys = shape.rows;  // nor where the axes are alike
  EXPECT_FALSE(recognized(shape));
  shape = {};
  shape.dtype = DType::kF64;
  EXPECT_FALSE(recognized(shape));
}

// The maximum of other scores than those in the exponent is no softmax.
TEST(Attention, MaximumAndSumAreOfTheSameScores) {
  for (const bool other_maximum : {false, true}) {
    Stages s;
    const int q = s.input({6, 8}), k = s.input({10, 8}), v = s.input({10, 4}),
              scores = s.temporary({6, 10}), top = s.temporary({6}), total = s.temporary({6}),
              weights = s.temporary({6, 10});
    s.reduce(scores, Combiner::kSum, {8}, at(q, {0, 2}) * at(k, {1, 2}));
    const Expr mirrored = at_index(scores, {axis(0), integer(9) - axis(1)});
    s.reduce(top, Combiner::kMax, {10}, other_maximum ? at(scores, {0, 1}) : mirrored);
    s.reduce(total, Combiner::kSum, {10}, attention_exp(at(scores, {0, 1}) - at(top, {0})));
    s.define(weights, graph::binary(ExprOp::kDiv, attention_exp(at(scores, {0, 1}) - at(top, {0})),
                                    at(total, {0})));
    s.reduce(s.output({6, 4}), Combiner::kSum, {10}, at(weights, {0, 2}) * at(v, {2, 1}));
    EXPECT_EQ(rewrite::fuse(s.graph).joined.size(), other_maximum ? 1U : 0U);
  }
}

HostTensor attention_filled(const graph::TensorType& type,
                            const std::function<double(int64_t)>& value) {
  HostTensor host{type, {}};
  for (int64_t i = 0; i < type.elements(); ++i) host.data.push_back(value(i));
  return host;
}

// Programs for `count` legal schedules, spread over the space.
void add_attention(std::vector<Case>& cases, const std::string& name, const BuiltAttention& built,
                   size_t count = 3) {
  static const target::MachineModel model = kernelwright::testing::plain_machine();
  const rewrite::FusedGraph fused = rewrite::fuse(built.s.graph);
  ASSERT_EQ(fused.joined.size(), 1U) << name;
  ASSERT_EQ(fused.joined[0].parts.size(), fused.ops.size()) << name;
  const rewrite::FusedOp& op = fused.joined[0].op;
  const OpContext context(fused, op, model, 2);
  ASSERT_TRUE(attention_family().accepts(context)) << name;
  std::vector<Schedule> legal;
  for (Schedule& schedule : enumerate(attention_family().space(context), 60000))
    if (attention_family().legal(context, schedule)) legal.push_back(std::move(schedule));
  ASSERT_FALSE(legal.empty()) << name;
  for (size_t i = 0; i < count; ++i) {
    const Schedule& schedule = legal[i * (legal.size() - 1) / (count - 1)];
    EXPECT_GT(attention_family().predict_seconds(context, schedule), 0) << schedule_text(schedule);
    ProgramBuilder builder(fused.tensors, "cpu");
    builder.begin_op(op);
    ASSERT_TRUE(attention_family().emit(context, schedule, builder));
    cases.push_back({name + " | " + schedule_text(schedule), &built.s.graph, builder.finish()});
  }
}

void expect_attention(const std::vector<Case>& cases, double tolerance) {
  for (const Case& c : cases) {
    const auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, tolerance))
    ADD_FAILURE() << failure;
}

TEST(Attention, MakesTheStages) {
  std::vector<AttentionShape> shapes = {
      {2, 2, 9, 21, 8, 16},     // rows and keys that are no multiple of a tile
      {1, 3, 40, 150, 20, 24},  // several blocks of keys
      {1, 2, 1, 300, 32, 32},   // one row
      {1, 1, 70, 70, 16, 5, AttentionMask::kCausal},        // few columns
      {2, 1, 33, 140, 16, 16, AttentionMask::kCausal},      // more keys than rows
      {1, 2, 90, 31, 12, 16, AttentionMask::kCausal},       // more rows than keys
      {2, 2, 19, 130, 8, 16, AttentionMask::kAdditive},     //
      {2, 2, 19, 70, 8, 16, AttentionMask::kBooleanZeros},  //
      {1, 1, 4, 6, 300, 16},                                // sums of scores in slices
      {1, 4, 18, 40, 8, 16, AttentionMask::kCausal, 2,
       true},  // heads that share keys, in one matrix
      {1, 4, 1, 90, 8, 16, AttentionMask::kNone, 4},
  };
  shapes.push_back({2, 3, 18, 80, 16, 16});
  shapes.back().packed_heads = shapes.back().finish = shapes.back().exp_stage = true;
  shapes.push_back({1, 2, 20, 70, 16, 16});
  shapes.back().dtype = DType::kBF16;
  std::vector<BuiltAttention> all;
  for (const AttentionShape& shape : shapes) all.push_back(attention_of(shape));
  std::vector<Case> cases;
  for (size_t i = 0; i < all.size(); ++i) {
    const size_t before = cases.size();
    add_attention(cases, "attention " + std::to_string(i), all[i], 4);
    for (size_t c = before; c < cases.size(); ++c)
      if (shapes[i].dtype == DType::kBF16) cases[c].tolerance = 1e-2;
  }
  expect_attention(cases, 2e-6);
}

TEST(Attention, MakesRandomShapes) {
  std::mt19937 random(11);
  const auto draw = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  std::vector<BuiltAttention> all;
  for (int i = 0; i < 16; ++i) {
    AttentionShape shape{draw(1, 2),
                         2 * draw(1, 2),
                         draw(1, 70),
                         draw(2, 200),
                         draw(2, 40),
                         draw(2, 40),
                         static_cast<AttentionMask>(draw(0, 4))};
    shape.groups = draw(1, 2);
    shape.packed_heads = draw(0, 1) != 0;
    shape.exp_stage = draw(0, 1) != 0;
    shape.finish = draw(0, 1) != 0;
    all.push_back(attention_of(shape));
  }
  std::vector<Case> cases;
  for (size_t i = 0; i < all.size(); ++i) {
    add_attention(cases, "random " + std::to_string(i), all[i], 3);
    // Rows that a boolean mask leaves empty or begins late.
    const int mask = all[i].mask;
    if (mask < 0) continue;
    const auto& type = all[i].s.graph.tensors[static_cast<size_t>(mask)].type;
    if (type.dtype != DType::kBool) continue;
    const int64_t keys = type.shape.back();
    for (size_t c = cases.size() - 3; c < cases.size(); ++c)
      cases[c].bindings[mask] = attention_filled(type, [&](int64_t at) {
        const int64_t row = at / keys, key = at % keys;
        return row % 5 == 3   ? 0.0
               : row % 5 == 4 ? (key == keys - 1 ? 1.0 : 0.0)
                              : static_cast<double>((row + key) % 3 != 0);
      });
  }
  expect_attention(cases, 2e-6);
}

// Scores that grow along the keys: every block has a new maximum, and what is carried over without
// being rescaled is far off.
TEST(Attention, RescalesWhatItCarriesOver) {
  AttentionShape shape{1, 2, 20, 260, 4, 16};
  const BuiltAttention built = attention_of(shape);
  std::vector<Case> cases;
  add_attention(cases, "growing", built, 6);
  const auto& tensors = built.s.graph.tensors;
  for (Case& c : cases) {
    c.bindings[0] =
        attention_filled(tensors[0].type, [](int64_t i) { return 1.0 + 0.125 * (i % 3); });
    c.bindings[1] = attention_filled(
        tensors[1].type, [](int64_t i) { return 0.0625 * static_cast<double>(i / 4 % 260); });
  }
  expect_attention(cases, 2e-5);
}

TEST(Attention, InfinitiesAndNanAreWhereTheStagesHaveThem) {
  AttentionShape shape{1, 1, 18, 140, 4, 16};
  std::vector<BuiltAttention> all;
  for (const AttentionMask mask : {AttentionMask::kAdditive, AttentionMask::kBoolean}) {
    shape.mask = mask;
    all.push_back(attention_of(shape));
  }
  std::vector<Case> cases;
  for (const BuiltAttention& built : all) {
    const size_t before = cases.size();
    add_attention(cases, "special", built, 4);
    const auto& type = built.s.graph.tensors[static_cast<size_t>(built.mask)].type;
    for (size_t c = before; c < cases.size(); ++c)
      cases[c].bindings[built.mask] = attention_filled(type, [&](int64_t at) {
        const int64_t row = at / 140, key = at % 140;
        if (type.dtype == DType::kBool) return row == 3 || (row == 5 && key < 130) ? 0.0 : 1.0;
        if (row == 2) return -HUGE_VAL;               // nothing left
        if (row == 4 && key < 130) return -HUGE_VAL;  // the first blocks left out
        if (row == 6 && key == 70) return std::nan("");
        if (row == 8 && key == 5) return HUGE_VAL;
        return row == 9 ? -1e30 : 0.25;
      });
  }
  expect_attention(cases, 2e-6);
}

TEST(Attention, TheExpertTriesItAndThePartsAlone) {
  const BuiltAttention built = attention_of({2, 4, 64, 64, 32, 32});
  ExpertOptions options;
  options.threads = 2;
  options.target = "cpu";
  auto expert = make_expert(built.s.graph, kernelwright::testing::plain_machine(), options);
  ASSERT_TRUE(expert.has_value()) << expert.error().text();
  auto proposals = (*expert)->propose(12);
  ASSERT_TRUE(proposals.has_value());
  std::vector<Case> cases;
  bool joined = false, apart = false;
  for (auto& proposal : *proposals) {
    const size_t launches = proposal.candidate.program.run.size();
    joined |= launches == 1;
    apart |= launches >= 3;
    cases.push_back({proposal.idea, &built.s.graph, proposal.candidate});
  }
  EXPECT_TRUE(joined);
  EXPECT_TRUE(apart);
  expect_attention(cases, 2e-6);
}

// A schedule of the joined op names no family for the parts that it leaves out.
TEST(Attention, ItsScheduleGoesFromShapeToShape) {
  const BuiltAttention small = attention_of({.rows = 64, .keys = 64, .depth = 32, .columns = 32}),
                       large = attention_of({.rows = 96, .keys = 128, .depth = 32, .columns = 32});
  auto from = make_expert(small.s.graph, kernelwright::testing::plain_machine("cpu"), {});
  auto to = make_expert(large.s.graph, kernelwright::testing::plain_machine("cpu"), {});
  ASSERT_TRUE(from.has_value() && to.has_value());
  const auto proposals = (*from)->propose(24);
  ASSERT_TRUE(proposals.has_value());
  const auto families = [](const program::Proposal& proposal) {
    std::vector<std::string> named;
    for (const auto& [key, value] : proposal.schedule)
      if (key.rfind("family/", 0) == 0) named.push_back(key);
    return named;
  };
  int joined = 0, parts = 0;
  for (const auto& proposal : *proposals) {
    const auto named = families(proposal);
    const auto taken = (*to)->adapt(proposal.schedule);
    ASSERT_TRUE(taken.has_value()) << taken.error().text();
    if (!*taken) continue;  // the same as one before
    EXPECT_EQ(families(**taken), named);
    ++(named.size() == 1 ? joined : parts);
  }
  EXPECT_GT(joined, 0);
  EXPECT_GT(parts, 0);
}

}  // namespace
}  // namespace kernelwright::expert

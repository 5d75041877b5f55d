// SPDX-License-Identifier: Apache-2.0
// Programs of recurrences, compiled and run, against the interpreter.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "expert/expert.h"
#include "graph/import.h"
#include "program/validate.h"
#include "rewrite/partition.h"
#include "support/compiled.h"

namespace kernelwright::expert {
namespace {

using Json = nlohmann::json;
using kernelwright::testing::Case;

struct RecurrentLayers {
  std::string kind = "lstm";  // lstm, gru, rnn_tanh, rnn_relu
  int64_t steps = 40, batch = 3, features = 5, hidden = 7, layers = 1, directions = 1;
  bool bias = true, batch_first = false;
  bool states_only = false;  // hand back the final states alone

  graph::StageGraph stages() const {
    const int64_t gates = kind == "lstm" ? 4 : kind == "gru" ? 3 : 1;
    Json json = {{"format", 1},
                 {"workload", "test"},
                 {"class", "Model"},
                 {"training", false},
                 {"torch", "2.13.0"},
                 {"values", Json::object()},
                 {"inputs", {"x"}},
                 {"weights", Json::array()},
                 {"nodes", Json::array()},
                 {"outputs", Json::array()},
                 {"mutations", Json::array()},
                 {"eager", Json::array()}};
    const auto value = [&](const std::string& name, const std::vector<int64_t>& shape) {
      json["values"][name] = {{"dtype", "f32"}, {"shape", shape}};
      return Json{{"value", name}};
    };
    Json x = value("x", batch_first ? std::vector{batch, steps, features}
                                    : std::vector{steps, batch, features});
    Json weights = Json::array(), states = Json::array();
    for (int64_t l = 0; l < layers; ++l) {
      for (int64_t d = 0; d < directions; ++d) {
        const auto weight = [&](const std::string& part, const std::vector<int64_t>& shape) {
          const std::string name = fmt::format("{}_{}_{}", part, l, d);
          json["weights"].push_back({{"value", name}, {"name", name}, {"kind", "parameter"}});
          weights.push_back(value(name, shape));
        };
        weight("ih", {gates * hidden, l == 0 ? features : directions * hidden});
        weight("hh", {gates * hidden, hidden});
        if (!bias) continue;
        weight("bi", {gates * hidden});
        weight("bh", {gates * hidden});
      }
    }
    const std::vector<int64_t> state = {layers * directions, batch, hidden};
    std::vector<std::string> outputs = {"y", "hn"};
    for (const char* name : {"h0", "c0"}) {
      if (name[0] == 'c' && kind != "lstm") continue;
      json["inputs"].push_back(name);
      states.push_back(value(name, state));
    }
    value("y", batch_first ? std::vector{batch, steps, directions * hidden}
                           : std::vector{steps, batch, directions * hidden});
    value("hn", state);
    if (kind == "lstm") {
      value("cn", state);
      outputs.emplace_back("cn");
    }
    json["nodes"].push_back({{"name", "y"},
                             {"op", "aten." + kind + ".input"},
                             {"args",
                              {{"input", x},
                               {"hx", kind == "lstm" ? states : states[0]},
                               {"params", weights},
                               {"has_biases", bias},
                               {"num_layers", layers},
                               {"dropout", 0.0},
                               {"train", false},
                               {"bidirectional", directions == 2},
                               {"batch_first", batch_first}}},
                             {"outputs", outputs},
                             {"module", "m"}});
    for (const std::string& name : outputs)
      if (!states_only || name != "y") json["outputs"].push_back({{"value", name}});
    const auto parsed = graph::parse_graph(json.dump());
    EXPECT_TRUE(parsed.has_value()) << parsed.error().text();
    const auto parts = rewrite::partition(*parsed);
    EXPECT_TRUE(parts.eager.empty()) << parts.eager[0].reason;
    auto lowered = graph::lower(*parsed, parts.regions.at(0));
    EXPECT_TRUE(lowered.has_value()) << lowered.error().text();
    return *lowered;
  }
};

class Recurrences : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Targets, Recurrences, ::testing::Values("cpu", "cuda"),
                         [](const auto& param) { return param.param; });

// Layers of all kinds go through the family, not the fallback.
TEST(Recurrence, IsAFamilyOfItsOwn) {
  for (const char* kind : {"lstm", "gru", "rnn_tanh", "rnn_relu"}) {
    for (const int64_t batch : {1, 3}) {
      const auto graph = RecurrentLayers{.kind = kind, .batch = batch, .directions = 2}.stages();
      auto expert = make_expert(graph, kernelwright::testing::plain_machine("cpu"), {});
      ASSERT_TRUE(expert.has_value()) << expert.error().text();
      const auto proposals = (*expert)->propose(1);
      ASSERT_TRUE(proposals.has_value() && !proposals->empty());
      EXPECT_NE(proposals->front().candidate.source.find("_recurrence_"), std::string::npos)
          << kind << " " << batch;
    }
  }
}

TEST_P(Recurrences, OfAnyLength) {
  const std::vector<RecurrentLayers> all = {
      {.kind = "lstm", .layers = 2, .directions = 2, .bias = false, .batch_first = true},
      {.kind = "lstm", .steps = 3, .batch = 1, .hidden = 40, .states_only = true},
      {.kind = "gru", .steps = 37, .directions = 2},
      {.kind = "gru", .steps = 5, .batch = 9, .hidden = 33, .bias = false},
      {.kind = "rnn_tanh", .steps = 60, .batch = 2},
      {.kind = "rnn_relu", .steps = 4, .batch = 5, .hidden = 64, .batch_first = true},
      {.kind = "lstm", .steps = 1},
  };
  ExpertOptions options;
  options.threads = 2;
  options.target = GetParam();
  std::vector<graph::StageGraph> graphs;
  for (const RecurrentLayers& layers : all) graphs.push_back(layers.stages());
  std::vector<Case> cases;
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string name = fmt::format("{} {}", i, all[i].kind);
    auto naive = naive_program(graphs[i], options);
    ASSERT_TRUE(naive.has_value()) << naive.error().text();
    cases.push_back({name + " naive", &graphs[i], *naive});
    auto expert = make_expert(graphs[i], kernelwright::testing::plain_machine(GetParam()), options);
    ASSERT_TRUE(expert.has_value()) << expert.error().text();
    auto proposals = (*expert)->propose(GetParam() == "cpu" ? 3 : 1);
    ASSERT_TRUE(proposals.has_value()) << proposals.error().text();
    for (auto& proposal : *proposals)
      cases.push_back({name + " | " + proposal.idea, &graphs[i], proposal.candidate});
  }
  for (const Case& c : cases) {
    auto valid = program::validate(c.candidate.program);
    EXPECT_TRUE(valid.has_value()) << c.name << ": " << valid.error().text();
  }
  for (const std::string& failure : kernelwright::testing::run_and_compare(cases, 2e-5))
    ADD_FAILURE() << failure;
}

// A gate that keeps all leaves a small state as it is, to its last bits.
TEST_P(Recurrences, KeepASmallState) {
  const RecurrentLayers layers = {.kind = "gru", .steps = 5};
  const graph::StageGraph stages = layers.stages();
  ExpertOptions options;
  options.target = GetParam();
  auto naive = naive_program(stages, options);
  ASSERT_TRUE(naive.has_value()) << naive.error().text();
  Case c = {"small state", &stages, *naive};
  for (size_t t = 0; t < stages.tensors.size(); ++t) {
    const auto& tensor = stages.tensors[t];
    const bool state = tensor.role == graph::TensorRole::kInput && tensor.index == 1;
    const bool bias = tensor.role == graph::TensorRole::kWeight && tensor.type.shape.size() == 1;
    if (!state && !bias) continue;
    graph::HostTensor value;
    value.type = tensor.type;
    const int64_t count = tensor.type.elements(), hidden = layers.hidden;
    for (int64_t i = 0; i < count; ++i)
      value.data.push_back(state ? 1e-6 : i / hidden == 1 ? 40.0 : 0.5);
    c.bindings[static_cast<int>(t)] = value;
  }
  EXPECT_EQ(c.bindings.size(), 3U);
  for (const std::string& failure : kernelwright::testing::run_and_compare({c}, 1e-9))
    ADD_FAILURE() << failure;
}

}  // namespace
}  // namespace kernelwright::expert

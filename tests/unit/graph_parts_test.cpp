// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "graph/import.h"

namespace kernelwright::graph {
namespace {

std::string partial(const std::string& node_part, const std::string& parts) {
  return R"({"format": 1, "workload": "w", "class": "Model", "training": true, "torch": "2.13.0",
    "values": {"m0_x": {"dtype": "f32", "shape": [4]}, "m0_relu": {"dtype": "f32", "shape": [4]}},
    "inputs": ["m0_x"], "weights": [],
    "nodes": [{"name": "m0_relu", "op": "aten.relu.default", "args": {"self": {"value": "m0_x"}},
               "outputs": ["m0_relu"], "module": "act")" +
         node_part + R"(}], "outputs": [{"value": "m0_relu"}], "mutations": [], "eager": [])" +
         parts + "}";
}

const char* const kParts =
    R"(, "parts": [{"module_path": "act", "inputs": ["m0_x"], "outputs": [{"value": "m0_relu"}, {"const": 3}],
      "mutations": [], "training": true, "call": {"in_spec": null}}], "call": {"any": ["thing"]})";

TEST(GraphParts, ReadAndPrinted) {
  auto graph = parse_graph(partial(R"(, "part": 0)", kParts));
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_FALSE(graph->whole);
  ASSERT_EQ(graph->parts.size(), 1u);
  EXPECT_EQ(graph->parts[0].module_path, "act");
  EXPECT_EQ(graph->parts[0].outputs[1].constant_json, "3");
  EXPECT_EQ(graph->nodes[0].part, 0);
  auto again = parse_graph(graph_json(*graph));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(graph_json(*again), graph_json(*graph));
}

TEST(GraphParts, NoPartsAtAll) {
  auto graph = parse_graph(
      R"({"format": 1, "workload": "w", "class": "Model", "training": true, "torch": "2.13.0",
    "values": {}, "inputs": [], "weights": [], "nodes": [], "outputs": [], "mutations": [], "eager": [], "parts": []})");
  ASSERT_TRUE(graph) << graph.error().text();
  EXPECT_FALSE(graph->whole);
}

TEST(GraphParts, NodeOutsideTheParts) {
  for (const char* part : {"", R"(, "part": 1)", R"(, "part": -1)"}) {
    auto graph = parse_graph(partial(part, kParts));
    ASSERT_FALSE(graph) << part;
    EXPECT_NE(graph.error().message.find("nodes[0].part"), std::string::npos)
        << graph.error().message;
  }
  EXPECT_FALSE(parse_graph(partial(R"(, "part": 0)", "")));
}

}  // namespace
}  // namespace kernelwright::graph

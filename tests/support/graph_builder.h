// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "graph/import.h"
#include "graph/op_table.h"
#include "rewrite/partition.h"

namespace kernelwright::testing {

using Json = nlohmann::json;

// Builds graph.json: values by name as "f32[2,3]", nodes with their op, arguments and outputs.
struct GraphBuilder {
  Json json = {{"format", 1},
               {"workload", "test"},
               {"class", "Model"},
               {"training", false},
               {"torch", "2.13.0"},
               {"values", Json::object()},
               {"inputs", Json::array()},
               {"weights", Json::array()},
               {"nodes", Json::array()},
               {"outputs", Json::array()},
               {"mutations", Json::array()},
               {"eager", Json::array()}};

  GraphBuilder& value(const std::string& name, const std::string& dtype, graph::Shape shape) {
    json["values"][name] = {{"dtype", dtype}, {"shape", shape}};
    return *this;
  }
  GraphBuilder& input(const std::string& name, graph::Shape shape,
                      const std::string& dtype = "f32") {
    json["inputs"].push_back(name);
    return value(name, dtype, std::move(shape));
  }
  GraphBuilder& weight(const std::string& name, graph::Shape shape,
                       const std::string& kind = "parameter") {
    json["weights"].push_back({{"value", name}, {"name", "w." + name}, {"kind", kind}});
    return value(name, "f32", std::move(shape));
  }
  GraphBuilder& node(const std::string& op, Json args, const std::string& out, graph::Shape shape,
                     const std::string& dtype = "f32") {
    json["nodes"].push_back({{"name", out},
                             {"op", op},
                             {"args", std::move(args)},
                             {"outputs", {out}},
                             {"module", "m"}});
    return value(out, dtype, std::move(shape));
  }
  GraphBuilder& output(const std::string& name) {
    json["outputs"].push_back({{"value", name}});
    return *this;
  }
  graph::Graph graph() const {
    auto parsed = graph::parse_graph(json.dump());
    EXPECT_TRUE(parsed) << parsed.error().text();
    return parsed ? *parsed : graph::Graph{};
  }
  std::string error() const {
    auto parsed = graph::parse_graph(json.dump());
    return parsed ? "none" : parsed.error().text();
  }
};

inline Json ref(const std::string& name) {
  return {{"value", name}};
}

inline graph::StageGraph lowered(const graph::Graph& graph) {
  const auto partition = rewrite::partition(graph);
  EXPECT_EQ(partition.regions.size(), 1u);
  EXPECT_TRUE(partition.eager.empty()) << partition.eager[0].reason;
  auto stages = graph::lower(graph, partition.regions.at(0));
  EXPECT_TRUE(stages) << stages.error().text();
  return stages ? *stages : graph::StageGraph{};
}

}  // namespace kernelwright::testing

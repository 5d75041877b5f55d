// SPDX-License-Identifier: Apache-2.0
// Readers of files: programs, graphs, tensors.
#include "base/result.h"
#include "fuzz/targets.h"
#include "graph/graph.h"
#include "graph/import.h"
#include "graph/safetensors.h"
#include "graph/stage.h"
#include "program/layout.h"
#include "program/parse.h"
#include "program/program.h"
#include "program/validate.h"
#include "support/base_program.h"

namespace kernelwright::fuzz {
namespace {

constexpr size_t kLongestMessage = 600;

void require_plain(const Error& error) {
  require(error.kind == ErrorKind::kInput, "bad input is a kInput error");
  require(error.message.size() < kLongestMessage, "a message is bounded");
}

void read_program(std::string_view text) {
  const auto program = program::parse_program(text);
  if (!program) return require_plain(program.error());
  static_cast<void>(program::validate(*program));
  static_cast<void>(program::lay_out(*program, 64));
  const std::string printed = program::print_program(*program);
  const auto again = program::parse_program(printed);
  require(again && program::print_program(*again) == printed, "what is printed is read back");
}

std::vector<std::string> programs() {
  return {testing::kBaseProgram};
}

void read_size(std::string_view text) {
  static_cast<void>(program::evaluate({std::string(text)}, {{"TILE", 8}, {"N", 0}}));
}

std::vector<std::string> sizes() {
  return {"ceil_div(64, TILE) * 2", "min(TILE, -3 % 2) + max(1, N)", "(1 << 2)", "4 / (TILE - 8)"};
}

void read_graph(std::string_view text) {
  const auto graph = graph::parse_graph(text);
  if (!graph) return require_plain(graph.error());
  const std::string printed = graph::graph_json(*graph);
  const auto again = graph::parse_graph(printed);
  require(again && graph::graph_json(*again) == printed, "what is printed is read back");
}

std::vector<std::string> graphs() {
  const std::string head =
      R"({"format": 1, "workload": "w", "class": "Model", "training": true, "torch": "2.13.0",)";
  return {
      head +
          R"("values": {"x": {"dtype": "f32", "shape": [2, 4]}, "w": {"dtype": "f32", "shape": [3, 4]},
    "y": {"dtype": "f32", "shape": [2, 3]}, "z": {"dtype": "f32", "shape": [2, 3]}},
    "inputs": ["x"], "weights": [{"value": "w", "name": "fc.weight"}],
    "nodes": [{"name": "y", "op": "aten.linear.default", "args": {"input": {"value": "x"}, "weight": {"value": "w"}, "bias": null},
               "outputs": ["y"], "module": "fc"},
              {"name": "z", "op": "aten.relu.default", "args": {"self": {"value": "y"}}, "outputs": ["z"], "module": ""}],
    "outputs": [{"value": "z"}], "mutations": [], "eager": []})",
      head +
          R"("values": {"m0_x": {"dtype": "f32", "shape": [4]}, "m0_relu": {"dtype": "f32", "shape": [4]}},
    "inputs": ["m0_x"], "weights": [],
    "nodes": [{"name": "m0_relu", "op": "aten.relu.default", "args": {"self": {"value": "m0_x"}},
               "outputs": ["m0_relu"], "module": "act", "part": 0}], "outputs": [{"value": "m0_relu"}], "mutations": [], "eager": [],
    "parts": [{"module_path": "act", "inputs": ["m0_x"], "outputs": [{"value": "m0_relu"}, {"const": 3}],
      "mutations": [], "training": true, "call": {"in_spec": null}}], "call": {"any": ["thing"]}})"};
}

void read_tensors(std::string_view bytes) {
  graph::SafetensorsFile file;
  const Status status = graph::parse_safetensors(std::string(bytes), file);
  if (!status) return require_plain(status.error());
  for (const auto& [name, entry] : file.tensors) static_cast<void>(graph::to_host(entry));
}

std::vector<std::string> tensors() {
  const std::string header =
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I64","shape":[],"data_offsets":[8,16]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  return {bytes + header + std::string(16, '\x01')};
}

}  // namespace

std::vector<Target> format_targets() {
  return {{"program", read_program, programs},
          {"size", read_size, sizes},
          {"graph", read_graph, graphs},
          {"safetensors", read_tensors, tensors}};
}

}  // namespace kernelwright::fuzz

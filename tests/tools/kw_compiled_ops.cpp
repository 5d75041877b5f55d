// SPDX-License-Identifier: Apache-2.0
// kw_compiled_ops TARGET COUNT NODES DIR...: the graphs that kw_interpret runs, compiled. Of each
// DIR/graph.json the first NODES nodes, each as a region of its own: the naive program and COUNT
// proposals of the expert, all in one source, run on DIR/inputs.safetensors and compared with the
// interpreter (CUDA kernels are emulated). Prints a line per failure, then how many programs there
// were.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>

#include "expert/expert.h"
#include "graph/import.h"
#include "graph/safetensors.h"
#include "program/validate.h"
#include "support/compiled.h"

namespace kernelwright {
namespace {

// Half types and long products: digits of the narrowest type that takes part.
double tolerance_of(const graph::StageGraph& stages) {
  double unit = graph::unit_roundoff(graph::DType::kF32);
  for (const auto& tensor : stages.tensors)
    if (graph::is_float(tensor.type.dtype))
      unit = std::max(unit, graph::unit_roundoff(tensor.type.dtype));
  return 256 * unit;
}

struct Compiled {
  std::deque<graph::StageGraph> graphs;  // cases point into it
  std::vector<testing::Case> cases;
  int failures = 0;

  Status add(const std::string& name, const graph::Graph& graph, int node,
             const graph::SafetensorsFile& inputs, const std::string& target, int count) {
    graph::Region region;
    region.id = "r0";
    region.nodes = {node};
    for (int id : node_operands(graph.nodes[static_cast<size_t>(node)]))
      if (std::find(region.inputs.begin(), region.inputs.end(), id) == region.inputs.end())
        region.inputs.push_back(id);
    for (int id : graph.nodes[static_cast<size_t>(node)].outputs)
      if (id >= 0) region.outputs.push_back(id);
    KW_TRY(graph::StageGraph stages, graph::lower(graph, region));
    // A program needs elements to be launched over.
    for (const auto& tensor : stages.tensors)
      if (tensor.type.elements() == 0) return {};
    graphs.push_back(std::move(stages));
    testing::Case base{name, &graphs.back(), {}, {}, tolerance_of(graphs.back())};
    for (size_t t = 0; t < graphs.back().tensors.size(); ++t) {
      const auto& tensor = graphs.back().tensors[t];
      if (tensor.role != graph::TensorRole::kInput) continue;
      const auto found = inputs.tensors.find(tensor.name);
      if (found == inputs.tensors.end()) return fail(ErrorKind::kInput, "no data for " + name);
      base.bindings[static_cast<int>(t)] = graph::to_host(found->second);
    }
    expert::ExpertOptions options;
    options.target = target;
    options.threads = 2;
    auto put = [&](const std::string& idea, program::Candidate candidate) -> Status {
      KW_CHECK_OK(program::validate(candidate.program));
      cases.push_back(base);
      cases.back().name += " | " + idea;
      cases.back().candidate = std::move(candidate);
      return {};
    };
    KW_TRY(program::Candidate naive, expert::naive_program(graphs.back(), options));
    KW_CHECK_OK(put("naive", std::move(naive)));
    if (count == 0) return {};
    KW_TRY(auto expert,
           expert::make_expert(graphs.back(), testing::plain_machine(target), options));
    KW_TRY(auto proposals, expert->propose(count));
    for (auto& proposal : proposals) KW_CHECK_OK(put(proposal.idea, std::move(proposal.candidate)));
    return {};
  }

  void add_folder(const std::filesystem::path& folder, const std::string& target, int count,
                  int nodes) {
    auto complain = [&](const std::string& what) {
      fmt::print("{}: {}\n", folder.filename().string(), what);
      ++failures;
    };
    auto graph = graph::read_graph(folder / "graph.json");
    if (!graph) return complain(graph.error().text());
    graph::SafetensorsFile inputs;
    if (auto read = graph::read_safetensors(folder / "inputs.safetensors", inputs); !read)
      return complain(read.error().text());
    const int last = std::min(nodes, static_cast<int>(graph->nodes.size()));
    for (int node = 0; node < last; ++node) {
      const std::string name = fmt::format("{} {}", folder.filename().string(),
                                           graph->nodes[static_cast<size_t>(node)].name);
      if (auto added = add(name, *graph, node, inputs, target, count); !added)
        complain(added.error().text());
    }
  }
};

}  // namespace
}  // namespace kernelwright

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "kw_compiled_ops TARGET COUNT NODES DIR...\n");
    return 2;
  }
  kernelwright::Compiled all;
  for (int i = 4; i < argc; ++i)
    all.add_folder(argv[i], argv[1], std::atoi(argv[2]), std::atoi(argv[3]));
  for (const auto& failure : kernelwright::testing::run_and_compare(all.cases)) {
    fmt::print("{}\n", failure);
    ++all.failures;
  }
  fmt::print("{} programs, {} failures\n", all.cases.size(), all.failures);
  return all.failures == 0 ? 0 : 1;
}

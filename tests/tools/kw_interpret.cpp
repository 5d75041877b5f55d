// SPDX-License-Identifier: Apache-2.0
// kw_interpret DIR...: runs the interpreter on DIR/graph.json with DIR/inputs.safetensors (inputs
// by value name) and DIR/weights.safetensors (by weight name; may be missing), writes
// DIR/outputs.safetensors ("0", "1", ... for the outputs, "state:NAME" for mutated buffers) or
// DIR/error.txt. kw_interpret --ops prints the op table's names.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "graph/import.h"
#include "graph/interpreter.h"
#include "graph/op_table.h"
#include "graph/safetensors.h"
#include "rewrite/partition.h"

namespace kernelwright {
namespace {

Status interpret_folder(const std::filesystem::path& folder) {
  KW_TRY(graph::Graph graph, graph::read_graph(folder / "graph.json"));
  const rewrite::Partition partition = rewrite::partition(graph);
  if (!partition.eager.empty()) return fail(ErrorKind::kInput, partition.eager[0].reason);
  if (partition.regions.size() != 1) return fail(ErrorKind::kInput, "not one region");
  KW_TRY(graph::StageGraph stages, graph::lower(graph, partition.regions[0]));
  graph::SafetensorsFile inputs, weights;
  KW_CHECK_OK(graph::read_safetensors(folder / "inputs.safetensors", inputs));
  if (std::filesystem::exists(folder / "weights.safetensors"))
    KW_CHECK_OK(graph::read_safetensors(folder / "weights.safetensors", weights));
  std::map<int, graph::HostTensor> bindings;
  for (size_t t = 0; t < stages.tensors.size(); ++t) {
    const auto& tensor = stages.tensors[t];
    const bool input = tensor.role == graph::TensorRole::kInput;
    if (!input && tensor.role != graph::TensorRole::kWeight &&
        tensor.role != graph::TensorRole::kState)
      continue;
    const auto& file = input ? inputs : weights;
    auto found = file.tensors.find(input ? tensor.name : tensor.weight_name);
    if (found == file.tensors.end()) return fail(ErrorKind::kInput, "no data for " + tensor.name);
    bindings[static_cast<int>(t)] = graph::to_host(found->second);
  }
  KW_TRY(auto results, graph::interpret(stages, std::move(bindings)));
  std::map<std::string, graph::HostTensor> outputs;
  for (size_t t = 0; t < stages.tensors.size(); ++t) {
    const auto& tensor = stages.tensors[t];
    if (tensor.role == graph::TensorRole::kOutput)
      outputs[std::to_string(tensor.index)] = results[t];
    if (tensor.role == graph::TensorRole::kState)
      outputs["state:" + tensor.weight_name] = results[t];
  }
  return graph::write_safetensors(folder / "outputs.safetensors", outputs);
}

}  // namespace
}  // namespace kernelwright

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--ops") {
    for (const auto& op : kernelwright::graph::op_table()) std::puts(op.name.c_str());
    return 0;
  }
  int failures = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path folder = argv[i];
    auto status = kernelwright::interpret_folder(folder);
    if (status) continue;
    ++failures;
    auto ignored =
        kernelwright::base::write_file_atomic(folder / "error.txt", status.error().text());
    std::fprintf(stderr, "%s: %s\n", argv[i], status.error().text().c_str());
  }
  return failures == 0 ? 0 : 2;
}

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "graph/graph.h"

namespace kernelwright::graph {

// Reads graph.json (docs/graph-format.md) as written by kernelwright's exporter. Everything is
// checked: known dtypes, value references made before their use, counts under limits. Errors are
// kInput and name the place ("nodes[3].args.self").
Result<Graph> parse_graph(std::string_view json_text);
Result<Graph> read_graph(const std::filesystem::path& path);

// The same format back; parse_graph(graph_json(g)) equals g.
std::string graph_json(const Graph& graph);

}  // namespace kernelwright::graph

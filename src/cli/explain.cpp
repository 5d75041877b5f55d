// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "graph/analysis.h"
#include "report/table.h"
#include "rewrite/rules.h"
#include "search/session.h"

namespace kernelwright::cli {
namespace {

using nlohmann::json;

constexpr size_t kStagesShown = 20;

graph::DType widest_float(const graph::StageGraph& stages) {
  for (const auto& tensor : stages.tensors)
    if (tensor.type.dtype == graph::DType::kF64) return graph::DType::kF64;
  return graph::DType::kF32;
}

json work_json(const graph::Work& work, const graph::Ceilings& ceilings) {
  const auto light = graph::speed_of_light(work, ceilings);
  return {{"flops", work.contraction_flops + work.other_flops},
          {"contraction_flops", work.contraction_flops},
          {"bytes", work.bytes},
          {"speed_of_light_ms", light.seconds * 1e3},
          {"bound", light.bound}};
}

// One region: what it reads and writes, and the least time of the whole and of each stage on its
// own.
Result<json> region_json(const search::Session& session, const graph::Region& region) {
  const graph::Graph& graph = session.imported.graph;
  KW_TRY(const graph::StageGraph stages, graph::lower(graph, region));
  const graph::Ceilings ceilings = session.model.ceilings(widest_float(stages), session.policy);
  json out = work_json(rewrite::least_work(stages, ceilings), ceilings);
  out["id"] = region.id;
  out["whole"] = region.whole;
  const auto names = [&](const std::vector<int>& values) {
    json list = json::array();
    for (const int id : values)
      list.push_back({{"name", graph.value(id).name}, {"type", graph.value(id).type.text()}});
    return list;
  };
  out["inputs"] = names(region.inputs);
  out["weights"] = names(region.weights);
  out["outputs"] = names(region.outputs);
  json nodes = json::array();
  for (const int node : region.nodes) {
    const auto& n = graph.nodes.at(static_cast<size_t>(node));
    nodes.push_back({{"name", n.name},
                     {"op", n.op},
                     {"module", n.module_path},
                     {"text", graph::node_text(graph, n)}});
  }
  out["nodes"] = std::move(nodes);
  json list = json::array();
  for (const graph::Stage& stage : stages.stages) {
    json entry = work_json(graph::count_stage_work(stages, stage), ceilings);
    entry["origin"] = stage.origin;
    entry["type"] = stages.tensors.at(static_cast<size_t>(stage.output)).type.text();
    list.push_back(std::move(entry));
  }
  out["stages"] = std::move(list);
  return out;
}

Result<json> explain(const ExplainOptions& options) {
  KW_TRY(const base::TempDir work_dir, base::TempDir::create("kernelwright-explain"));
  search::SessionOptions session_options;
  session_options.spec.path = options.workload.workload;
  session_options.spec.init = options.workload.init;
  session_options.spec.inputs = options.workload.inputs;
  session_options.spec.size = options.workload.size;
  session_options.spec.policy = options.judge.policy;
  session_options.spec.target = options.judge.target;
  session_options.threads = options.judge.threads;
  session_options.work_dir = work_dir.path();
  KW_TRY(const search::Session session, search::Session::open(session_options));
  const graph::Graph& graph = session.imported.graph;

  std::map<std::string, int> ops;
  for (const auto& node : graph.nodes) ++ops[node.op];
  json inputs = json::array();
  for (const int id : graph.inputs)
    inputs.push_back({{"name", graph.value(id).name}, {"type", graph.value(id).type.text()}});
  int64_t weight_bytes = 0;
  for (const int id : graph.weights) weight_bytes += graph.value(id).type.bytes();

  json out = {{"workload", session.imported.name},
              {"target", session.spec.target},
              {"policy", session.spec.policy},
              {"device", session.model.device},
              {"threads", session.threads}};
  out["graph"] = {{"nodes", graph.nodes.size()},
                  {"ops", ops},
                  {"inputs", inputs},
                  {"weights", graph.weights.size()},
                  {"weight_bytes", weight_bytes},
                  {"training", graph.training}};
  json regions = json::array();
  double total_ms = 0;
  for (const graph::Region& region : session.partition.regions) {
    KW_TRY(json entry, region_json(session, region));
    total_ms += entry["speed_of_light_ms"].get<double>();
    regions.push_back(std::move(entry));
  }
  out["regions"] = std::move(regions);
  out["speed_of_light_ms"] = total_ms;
  json eager = json::array();
  for (const auto& left : session.partition.eager) {
    const auto& node = graph.nodes.at(static_cast<size_t>(left.node));
    eager.push_back({{"what", node.op}, {"node", node.name}, {"reason", left.reason}});
  }
  for (const auto& note : graph.eager_notes)
    eager.push_back({{"what", note.what}, {"node", nullptr}, {"reason", note.reason}});
  out["eager"] = std::move(eager);
  return out;
}

std::string number(double value) {
  const char* unit = "";
  for (const char* next : {"k", "M", "G", "T"}) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return fmt::format("{:.4g}{}", value, unit);
}

std::string joined(const json& values) {
  std::string out;
  for (const json& value : values)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", value["name"].get<std::string>(),
                       value["type"].get<std::string>());
  return out.empty() ? "none" : out;
}

void print_region(const json& region) {
  fmt::print("\nregion {}{}: {} nodes, {} weights, {} FLOP, {} bytes, at least {} ({} bound)\n",
             region["id"].get<std::string>(), region["whole"].get<bool>() ? " (whole module)" : "",
             region["nodes"].size(), region["weights"].size(),
             number(region["flops"].get<double>()), number(region["bytes"].get<double>()),
             report::ms_text(region["speed_of_light_ms"].get<double>()),
             region["bound"].get<std::string>());
  fmt::print("  in   {}\n  out  {}\n", joined(region["inputs"]), joined(region["outputs"]));
  for (const json& node : region["nodes"]) fmt::print("  {}\n", node["text"].get<std::string>());
  // Each stage on its own reads and writes memory; what fusion saves is the difference to the
  // region.
  std::vector<json> stages = region["stages"].get<std::vector<json>>();
  double sum = 0;
  for (const json& stage : stages) sum += stage["speed_of_light_ms"].get<double>();
  std::stable_sort(stages.begin(), stages.end(), [](const json& a, const json& b) {
    return a["speed_of_light_ms"].get<double>() > b["speed_of_light_ms"].get<double>();
  });
  std::vector<std::vector<std::string>> rows = {
      {"stage", "result", "FLOP", "bytes", "alone", "share", "bound"}};
  for (size_t i = 0; i < std::min(stages.size(), kStagesShown); ++i) {
    const json& stage = stages[i];
    const double ms = stage["speed_of_light_ms"].get<double>();
    rows.push_back({stage["origin"].get<std::string>(), stage["type"].get<std::string>(),
                    number(stage["flops"].get<double>()), number(stage["bytes"].get<double>()),
                    report::ms_text(ms), fmt::format("{:.0f} %", sum > 0 ? 100 * ms / sum : 0.0),
                    stage["bound"].get<std::string>()});
  }
  fmt::print("{}", report::text_table(rows));
  if (stages.size() > kStagesShown) fmt::print("  and {} more\n", stages.size() - kStagesShown);
}

void print_explanation(const json& out) {
  const json& graph = out["graph"];
  fmt::print("{} on {} ({}), policy {}\n", out["workload"].get<std::string>(),
             out["target"].get<std::string>(), out["device"].get<std::string>(),
             out["policy"].get<std::string>());
  fmt::print("graph: {} nodes, inputs {}, {} weights of {} bytes\n", graph["nodes"].get<size_t>(),
             joined(graph["inputs"]), graph["weights"].get<size_t>(),
             number(graph["weight_bytes"].get<double>()));
  for (const auto& [op, count] : graph["ops"].items())
    fmt::print("  {:>4} {}\n", count.get<int>(), op);
  for (const json& region : out["regions"]) print_region(region);
  if (!out["eager"].empty()) {
    fmt::print("\nstays in eager\n");
    for (const json& entry : out["eager"])
      fmt::print("  {}: {}\n", entry["what"].get<std::string>(),
                 entry["reason"].get<std::string>());
  }
}

}  // namespace

int cmd_explain(const ExplainOptions& options, const GlobalOptions& global) {
  const auto out = explain(options);
  base::end_progress();
  if (!out) return report_error(out.error(), global);
  if (global.json)
    fmt::print("{}\n", out->dump(-1, ' ', false, json::error_handler_t::replace));
  else
    print_explanation(*out);
  return 0;
}

}  // namespace kernelwright::cli

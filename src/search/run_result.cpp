// SPDX-License-Identifier: Apache-2.0
#include "search/run_result.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "search/search_figures.h"

namespace kernelwright::search {
namespace {

using nlohmann::json;

json optional_ms(const std::optional<double>& ms) {
  return ms ? json(*ms) : json(nullptr);
}

json error_json(const std::optional<referee::ErrorFigures>& error) {
  if (!error) return nullptr;
  return {{"rho_rms", error->rho_rms},
          {"rho_max", error->rho_max},
          {"relative", error->relative},
          {"allclose", error->allclose}};
}

json region_result_json(const graph::Graph& graph, const RegionResult& result) {
  json out = region_json(graph, result.region);
  out["accepted"] = result.accepted;
  out["program"] = result.accepted ? json("programs/" + result.region.id) : json(nullptr);
  out["program_id"] = result.program_id;
  out["promotion"] = result.promotion ? referee::verdict_json(*result.promotion) : json(nullptr);
  out["eager_ms"] = result.eager_ms;
  out["speed_of_light_ms"] = result.speed_of_light_s * 1e3;
  out["bound"] = result.bound;
  out["work"] = {{"contraction_flops", result.work.contraction_flops},
                 {"other_flops", result.work.other_flops},
                 {"bytes", result.work.bytes}};
  out["ceilings"] = {{"bytes_per_s", result.ceilings.bytes_per_s},
                     {"flops_per_s", result.ceilings.flops_per_s}};
  out["kernels"] = result.kernels;
  out["rewrites"] = json::array();
  for (const auto& applied : result.rewrites)
    out["rewrites"].push_back({{"rule", applied.rule}, {"where", applied.where}});
  json search = {{"tried", result.search.tried},
                 {"verdicts", result.search.verdicts},
                 {"elapsed_s", result.search.elapsed_s},
                 {"stop_reason", result.search.stop_reason}};
  search["curve"] = json::array();
  for (const auto& point : result.search.curve)
    search["curve"].push_back({{"elapsed_s", point.elapsed_s},
                               {"ms", point.ms},
                               {"program", point.program},
                               {"idea", point.idea}});
  search["taken_over"] = json::array();
  for (const auto& one : result.search.taken_over)
    search["taken_over"].push_back({{"program", one.program},
                                    {"from", one.from},
                                    {"verdict", one.verdict},
                                    {"ms", one.ms > 0 ? json(one.ms) : json(nullptr)}});
  search["predicted_measured_s"] = result.search.predicted_measured;
  search["learned_measured_s"] = json::array();
  for (const auto& figure : result.search.learned)
    search["learned_measured_s"].push_back({figure.learned, figure.measured});
  const auto figures = prediction_figures(result.search);
  if (figures.model) search["rank_correlation"] = *figures.model;
  if (figures.learned) search["learned_rank_correlation"] = *figures.learned;
  if (figures.model_of_the_same)
    search["rank_correlation_of_the_same"] = *figures.model_of_the_same;
  std::vector<std::pair<double, double>> curve;
  for (const auto& point : result.search.curve) curve.emplace_back(point.elapsed_s, point.ms);
  search["share_of_final"] = json::array();
  if (!curve.empty())
    for (const double seconds : kCurveSeconds)
      search["share_of_final"].push_back({seconds, share_of_final(curve, seconds)});
  out["search"] = std::move(search);
  return out;
}

// Of eager's time with fresh memory, what pages cost that are touched for the first time.
double fault_share(double warm_ms, double fresh_ms) {
  return fresh_ms > 0 ? std::max(0.0, 1 - warm_ms / fresh_ms) : 0;
}

}  // namespace

json region_json(const graph::Graph& graph, const graph::Region& region) {
  const auto names = [&](const std::vector<int>& ids) {
    json out = json::array();
    for (int id : ids) out.push_back(graph.value(id).name);
    return out;
  };
  json nodes = json::array();
  for (int node : region.nodes) nodes.push_back(graph.nodes.at(static_cast<size_t>(node)).name);
  json mutations = json::array();
  for (const auto& mutation : region.mutations)
    mutations.push_back(
        {{"name", mutation.weight_name}, {"value", graph.value(mutation.value).name}});
  return {{"id", region.id},
          {"whole", region.whole},
          {"nodes", std::move(nodes)},
          {"inputs", names(region.inputs)},
          {"weights", names(region.weights)},
          {"outputs", names(region.outputs)},
          {"mutations", std::move(mutations)}};
}

json run_result_json(const RunResult& r, const graph::Graph& graph) {
  json out = {{"format", 1},
              {"abi", r.abi},
              {"cpu_features", r.cpu_features},
              {"workload", r.workload},
              {"target", r.target},
              {"device", r.device},
              {"policy", r.policy},
              {"status", r.status},
              {"reason", r.reason},
              {"coverage", r.coverage},
              {"library_share", r.share_of_libraries},
              {"verdicts", r.verdicts},
              {"tried", r.tried},
              {"elapsed_s", r.elapsed_s},
              {"search_s", r.search_s},
              {"artifact", r.artifact},
              {"command", r.command},
              {"started", r.started},
              {"versions", r.versions},
              {"threads", r.threads},
              {"spec", r.spec_fields},
              {"interrupted", r.interrupted}};
  out["baseline"] = {{"eager_ms", r.baseline.eager_ms},
                     {"compile_ms", optional_ms(r.baseline.compile_ms)},
                     {"best_ms", r.baseline.best_ms},
                     {"best_name", r.baseline.best_name},
                     {"notes", r.baseline.notes}};
  out["best"] = nullptr;
  if (r.best)
    out["best"] = {{"ms", r.best->ms},
                   {"latency_ms", r.best->latency_ms},
                   {"speedup", r.best->speedup},
                   {"speedup_low", r.best->speedup_low},
                   {"speedup_high", r.best->speedup_high},
                   {"prepare_ms", r.prepare_ms},
                   {"program", r.best->program}};
  out["speedups"] = json::array();
  for (const auto& one : r.comparisons)
    out["speedups"].push_back({{"baseline", one.baseline},
                               {"ms", one.ms},
                               {"speedup", one.speedup},
                               {"speedup_low", one.speedup_low},
                               {"speedup_high", one.speedup_high}});
  if (!r.machine_json.empty()) out["machine"] = json::parse(r.machine_json, nullptr, false);
  out["error"] = {{"candidate", error_json(r.candidate_error)},
                  {"eager", error_json(r.eager_error)}};
  const double shown_ms = r.best ? r.best->ms : r.baseline.best_ms;
  out["speed_of_light"] = {{"ms", r.speed_of_light_ms},
                           {"fraction", shown_ms > 0 ? r.speed_of_light_ms / shown_ms : 0},
                           {"bound", r.bound}};
  if (!graph.drawn.empty()) out["drawn"] = graph.drawn;
  out["final"] = nullptr;
  if (r.fresh)
    out["final"]["fresh"] = {
        {"original_ms", r.fresh->original_ms},
        {"dropin_ms", r.fresh->dropin_ms},
        {"speedup", r.fresh->speedup},
        {"fault_share", fault_share(r.baseline.eager_ms, r.fresh->original_ms)}};
  if (r.memory)
    out["final"]["memory"] = {{"read_bytes", r.memory->read_bytes},
                              {"written_bytes", r.memory->written_bytes},
                              {"ms", r.memory->ms},
                              {"share", shown_ms > 0 ? r.memory->ms / shown_ms : 0}};
  out["others_share"] = r.others_share;
  out["disturbed"] = r.disturbed;
  if (!r.agents_json.empty()) out["agents"] = json::parse(r.agents_json, nullptr, false);
  out["regions"] = json::array();
  for (const auto& region : r.regions) out["regions"].push_back(region_result_json(graph, region));
  out["eager"] = json::array();
  for (const auto& note : r.eager)
    out["eager"].push_back({{"what", note.what}, {"reason", note.reason}});
  return out;
}

}  // namespace kernelwright::search

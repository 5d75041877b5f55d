// SPDX-License-Identifier: Apache-2.0
#include "report/kernelbench.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "report/kernelbench_template.h"
#include "report/launcher_source.h"

namespace kernelwright::report {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMostConstants = 64 << 20;  // bytes that still go into a source file

Result<json> read_json(const fs::path& path) {
  KW_TRY(std::string text, base::read_file(path));
  json out = json::parse(text, nullptr, false);
  if (!out.is_object())
    return fail(ErrorKind::kInput, fmt::format("{} is not a JSON object", path.string()));
  return out;
}

std::string base64(const std::string& bytes) {
  static const char* const kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve(bytes.size() / 3 * 4 + 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t j = 0; j < 3; ++j)
      word = word << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j)
      out += i + j <= bytes.size() ? kDigits[word >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

// A string as Python reads it: raw and readable where that is possible.
std::string python_string(const std::string& text) {
  if (text.find("'''") == std::string::npos && !text.ends_with('\\') && !text.ends_with('\'') &&
      text.find('\r') == std::string::npos)
    return "r'''" + text + "'''";
  return json(text).dump(-1, ' ', true, json::error_handler_t::replace);
}

Result<json> region_json(const json& region, const program::Candidate& candidate,
                         std::string& sources) {
  KW_TRY(LauncherSource made, launcher_source(candidate));
  const std::string id = region.at("id");
  json slots = json::array();
  for (const auto& slot : made.slots)
    slots.push_back({{"role", slot.role},
                     {"index", slot.index},
                     {"name", slot.name},
                     {"offset", slot.offset},
                     {"table", base64(slot.table)}});
  json out = {{"id", id},
              {"name", "kw_" + program::candidate_id(candidate).substr(0, 16)},
              {"target", candidate.program.target},
              {"nodes", region.at("nodes")},
              {"inputs", region.at("inputs")},
              {"weights", region.at("weights")},
              {"outputs", region.at("outputs")},
              {"mutations", region.at("mutations")},
              {"slots", slots},
              {"workspace", made.workspace_bytes},
              {"worker_scratch", made.worker_scratch},
              {"prepares", made.prepares},
              {"flags", made.flags}};
  sources += fmt::format("_SOURCES[{}] = {}\n\n", json(id).dump(), python_string(made.code));
  return out;
}

}  // namespace

Result<std::string> kernelbench_file(const fs::path& artifact, const program::Candidate* candidate,
                                     const std::string& region_id) {
  if (!fs::is_regular_file(artifact / "result.json"))
    return fail(ErrorKind::kInput,
                fmt::format("{}: the run's folder, which holds the original module, is not there",
                            artifact.string()));
  KW_TRY(json result, read_json(artifact / "result.json"));
  KW_TRY(json graph, read_json(artifact / "graph.json"));
  if (graph.contains("parts"))
    return fail(ErrorKind::kInput,
                "the module was exported in parts: there is no single file for it");
  const json spec = result.value("spec", json::object());
  const std::string where = spec.value("path", "");
  const fs::path original = artifact / where.substr(0, where.find(':'));
  if (original.extension() != ".py" || !fs::is_regular_file(original))
    return fail(ErrorKind::kInput,
                fmt::format("KernelBench's form needs the original as a Python file, this one is "
                            "{}",
                            where));
  KW_TRY(std::string source, base::read_file(original));

  std::string sources;
  json regions = json::array();
  std::set<std::string> inside;
  for (const auto& region : result.value("regions", json::array())) {
    const bool wanted = candidate && region.value("id", "") == region_id;
    program::Candidate chosen;
    if (wanted) {
      chosen = *candidate;
    } else {
      if (!region.value("accepted", false) || !region["program"].is_string()) continue;
      KW_TRY(chosen, program::read_candidate(artifact / region["program"].get<std::string>()));
    }
    KW_TRY(json made, region_json(region, chosen, sources));
    for (const auto& node : region.at("nodes")) inside.insert(node.get<std::string>());
    regions.push_back(std::move(made));
  }
  if (regions.empty())
    return fail(ErrorKind::kInput, "no program of this run was accepted: nothing to export");

  json kept = {{"values", json::object()},
               {"inputs", graph.at("inputs")},
               {"weights", graph.at("weights")},
               {"outputs", graph.at("outputs")},
               {"mutations", graph.at("mutations")},
               {"call", graph.value("call", json::object())},
               {"nodes", json::array()}};
  for (const auto& [name, value] : graph.at("values").items())
    kept["values"][name] = {{"dtype", value.at("dtype")}, {"shape", value.at("shape")}};
  for (const auto& node : graph.at("nodes"))
    if (!inside.contains(node.at("name").get<std::string>()))
      kept["nodes"].push_back(
          {{"op", node.at("op")}, {"args", node.at("args")}, {"outputs", node.at("outputs")}});

  std::string constants;
  if (fs::is_regular_file(artifact / "constants.safetensors")) {
    KW_TRY(constants, base::read_file(artifact / "constants.safetensors", kMostConstants));
  }
  const size_t colon = where.find(':');
  const std::string size = spec.value("size", "cpu");
  const std::string target = result.value("target", spec.value("target", "cpu"));
  const json facts = {{"class", colon == std::string::npos ? "Model" : where.substr(colon + 1)},
                      {"size", size.substr(0, size.find(':'))},
                      {"drawn", result.value("drawn", json::object())},
                      {"policy", spec.value("policy", "strict")},
                      {"target", target.substr(0, target.find(':'))},
                      {"workload", result.value("workload", "")},
                      {"device", result.value("device", "")}};

  std::string out =
      fmt::format("# SPDX-License-Identifier: Apache-2.0\n# {} for {}: made by kernelwright.\n",
                  facts["workload"].get<std::string>(), facts["target"].get<std::string>());
  out += kKernelbenchImports;
  const auto embedded = [](const json& value) {
    return "json.loads(" +
           python_string(value.dump(-1, ' ', false, json::error_handler_t::replace)) + ")";
  };
  out += fmt::format("_FACTS = {}\n\n", embedded(facts));
  out += fmt::format("_ORIGINAL = {}\n\n", python_string(source));
  out += fmt::format("_GRAPH = {}\n\n", embedded(kept));
  out += fmt::format("_REGIONS = {}\n\n", embedded(regions));
  out += fmt::format("_CONSTANTS = \"{}\"\n\n_SOURCES = {{}}\n", base64(constants));
  return out + sources + kKernelbenchBody;
}

}  // namespace kernelwright::report

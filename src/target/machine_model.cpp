// SPDX-License-Identifier: Apache-2.0
#include "target/machine_model.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace kernelwright::target {
namespace {

std::string bytes_text(int64_t bytes) {
  if (bytes <= 0) return "-";
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return fmt::format("{:.4g} {}", value, kUnits[unit]);
}

bool sane(double value) {
  return std::isfinite(value) && value >= 0;
}

}  // namespace

double MachineModel::rate(const std::string& unit, graph::DType dtype) const {
  for (const auto& rate : rates)
    if (rate.unit == unit && rate.dtype == dtype) return rate.flops_per_s;
  return 0;
}

double MachineModel::peak(graph::DType dtype, Policy policy) const {
  using graph::DType;
  double best = rate("fma", dtype);
  if (dtype == DType::kF16) best = std::max(best, rate("fp16", dtype));
  if (dtype == DType::kBF16) best = std::max(best, rate("bf16", dtype));
  if (dtype != DType::kF32) return best;
  const double tf32 = rate("tf32", DType::kF32), fp16 = rate("fp16", DType::kF16);
  const double bf16 = rate("bf16", DType::kBF16);
  // High and low halves, three products of them.
  constexpr double kSplit = 3;
  best = std::max({best, tf32 / kSplit, fp16 / kSplit});
  if (policy == Policy::kTf32) best = std::max(best, tf32);
  if (policy == Policy::kFp16) best = std::max(best, fp16);
  if (policy == Policy::kBf16) best = std::max(best, bf16);
  return best;
}

double MachineModel::memory_bytes_per_s() const {
  return levels.empty() ? 0 : levels.back().copy_bytes_per_s;
}

int64_t MachineModel::last_level_cache_bytes() const {
  int64_t bytes = 0;
  for (const auto& level : levels)
    if (level.bytes > 0) bytes = level.bytes;
  return bytes;
}

graph::Ceilings MachineModel::ceilings(graph::DType dtype, Policy policy) const {
  graph::Ceilings ceilings;
  // Reading alone may be faster than copying; a bound takes the faster.
  if (!levels.empty())
    ceilings.bytes_per_s = std::max(levels.back().read_bytes_per_s, levels.back().copy_bytes_per_s);
  ceilings.flops_per_s = peak(dtype, policy);
  // Half types are computed in f32 where the unit has no rate of their own.
  if (ceilings.flops_per_s == 0) ceilings.flops_per_s = peak(graph::DType::kF32, policy);
  return ceilings;
}

double MachineModel::floor_seconds(const graph::Work& work, graph::DType dtype,
                                   Policy policy) const {
  constexpr double kModelError = 1.25;
  const auto limit = ceilings(dtype, policy);
  const double beyond_cache =
      std::max(0.0, work.bytes - 2.0 * static_cast<double>(last_level_cache_bytes()));
  const double memory_s = limit.bytes_per_s > 0 ? beyond_cache / limit.bytes_per_s : 0;
  const double compute_s = limit.flops_per_s > 0 ? work.contraction_flops / limit.flops_per_s : 0;
  return std::max(memory_s, compute_s) / kModelError;
}

void MachineModel::raise_to(const MachineModel& other) {
  for (auto& level : levels)
    for (const auto& before : other.levels) {
      if (before.name != level.name) continue;
      level.read_bytes_per_s = std::max(level.read_bytes_per_s, before.read_bytes_per_s);
      level.copy_bytes_per_s = std::max(level.copy_bytes_per_s, before.copy_bytes_per_s);
    }
  for (auto& mine : rates)
    mine.flops_per_s = std::max(mine.flops_per_s, other.rate(mine.unit, mine.dtype));
  if (other.launch_s > 0) launch_s = std::min(launch_s, other.launch_s);
}

std::string machine_model_json(const MachineModel& model) {
  nlohmann::ordered_json json = {{"target", model.target},
                                 {"device", model.device},
                                 {"identity", model.identity},
                                 {"threads", model.threads},
                                 {"vector_bytes", model.vector_bytes}};
  json["levels"] = nlohmann::ordered_json::array();
  for (const auto& level : model.levels)
    json["levels"].push_back({{"name", level.name},
                              {"bytes", level.bytes},
                              {"read_bytes_per_s", level.read_bytes_per_s},
                              {"copy_bytes_per_s", level.copy_bytes_per_s}});
  json["rates"] = nlohmann::ordered_json::array();
  for (const auto& rate : model.rates)
    json["rates"].push_back({{"unit", rate.unit},
                             {"dtype", graph::dtype_name(rate.dtype)},
                             {"flops_per_s", rate.flops_per_s}});
  if (model.multiprocessors > 0) {
    json["multiprocessors"] = model.multiprocessors;
    json["shared_bytes"] = model.shared_bytes;
    json["clock_hz"] = model.clock_hz;
    json["capability"] = model.capability;
  }
  json["launch_s"] = model.launch_s;
  json["measured_at"] = model.measured_at;
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<MachineModel> parse_machine_model(const std::string& text) {
  const auto wrong = [](const std::string& why) {
    return fail(ErrorKind::kInput, fmt::format("machine model: {}", why));
  };
  try {
    const auto json = nlohmann::json::parse(text);
    MachineModel model;
    model.target = json.at("target").get<std::string>();
    model.device = json.at("device").get<std::string>();
    model.identity = json.at("identity").get<std::string>();
    model.threads = json.at("threads").get<int>();
    model.vector_bytes = json.at("vector_bytes").get<int>();
    for (const auto& entry : json.at("levels")) {
      MachineModel::Level level;
      level.name = entry.at("name").get<std::string>();
      level.bytes = entry.at("bytes").get<int64_t>();
      level.read_bytes_per_s = entry.at("read_bytes_per_s").get<double>();
      level.copy_bytes_per_s = entry.at("copy_bytes_per_s").get<double>();
      if (level.bytes < 0 || !sane(level.read_bytes_per_s) || !sane(level.copy_bytes_per_s))
        return wrong("a level with a negative figure");
      model.levels.push_back(std::move(level));
    }
    for (const auto& entry : json.at("rates")) {
      MachineModel::Rate rate;
      rate.unit = entry.at("unit").get<std::string>();
      const auto dtype = graph::dtype_from_name(entry.at("dtype").get<std::string>());
      rate.flops_per_s = entry.at("flops_per_s").get<double>();
      if (!dtype || !sane(rate.flops_per_s))
        return wrong("a rate with an unknown dtype or a negative figure");
      rate.dtype = *dtype;
      model.rates.push_back(std::move(rate));
    }
    model.multiprocessors = json.value("multiprocessors", 0);
    model.shared_bytes = json.value("shared_bytes", int64_t{0});
    model.clock_hz = json.value("clock_hz", 0.0);
    model.capability = json.value("capability", 0);
    model.launch_s = json.at("launch_s").get<double>();
    model.measured_at = json.at("measured_at").get<std::string>();
    if (!sane(model.launch_s) || !sane(model.clock_hz) || model.multiprocessors < 0 ||
        model.shared_bytes < 0 || model.threads < 1 || model.vector_bytes < 1)
      return wrong("a figure out of range");
    return model;
  } catch (const nlohmann::json::exception& error) {
    return wrong(error.what());
  }
}

std::string machine_model_table(const MachineModel& model) {
  std::string out = fmt::format("{}: {}\n", model.target, model.device);
  if (model.multiprocessors > 0)
    out += fmt::format(
        "  {} multiprocessors, {} of shared memory per block, clock {:.0f} MHz, measured {}\n\n",
        model.multiprocessors, bytes_text(model.shared_bytes), model.clock_hz * 1e-6,
        model.measured_at);
  else
    out += fmt::format("  {} threads, {}-bit vectors, measured {}\n\n", model.threads,
                       8 * model.vector_bytes, model.measured_at);
  out += fmt::format("  {:<8} {:>10} {:>12} {:>12}\n", "level", "size", "read GB/s", "copy GB/s");
  for (const auto& level : model.levels)
    out += fmt::format("  {:<8} {:>10} {:>12.1f} {:>12.1f}\n", level.name, bytes_text(level.bytes),
                       level.read_bytes_per_s * 1e-9, level.copy_bytes_per_s * 1e-9);
  out += fmt::format("\n  {:<8} {:>10} {:>12}\n", "unit", "dtype", "GFLOP/s");
  for (const auto& rate : model.rates)
    out += fmt::format("  {:<8} {:>10} {:>12.1f}\n", rate.unit, graph::dtype_name(rate.dtype),
                       rate.flops_per_s * 1e-9);
  out += fmt::format(
      "\n  {}: {:.2f} us\n",
      model.multiprocessors > 0 ? "from one launch to the next" : "launch over all threads",
      model.launch_s * 1e6);
  return out;
}

}  // namespace kernelwright::target

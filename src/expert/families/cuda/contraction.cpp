// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/contraction.h"

#include <algorithm>
#include <cmath>

#include "expert/dialects/cuda/machine.h"
#include "expert/families/cuda/contraction_emitter.h"

namespace kernelwright::expert::cuda {

namespace {

constexpr int64_t kSharedOfTiles = 48 << 10;

// Tile edges worth a try for an extent: the smallest that covers it, and all below.
std::vector<int64_t> edges(int64_t extent) {
  std::vector<int64_t> list;
  for (int64_t edge : {16, 32, 64, 128}) {
    if (list.empty() || list.back() < extent) list.push_back(edge);
  }
  return list;
}

}  // namespace

ScheduleSpace Contraction::space(const OpContext& context) const {
  const ContractionFacts& f = contraction_facts(context);
  ScheduleSpace space;
  const auto rows = edges(f.m), columns = edges(f.n);
  space.push_back({"tile_m", rows, rows.back(), Bears::kTraffic});
  space.push_back({"tile_n", columns, columns.back(), Bears::kTraffic});
  space.push_back({"tile_k", {8, 16, 32}, 16, Bears::kTraffic});
  space.push_back({"per_m", {1, 2, 4, 8}, 4, Bears::kArithmetic});
  space.push_back({"per_n", {1, 2, 4, 8}, 4, Bears::kArithmetic});
  std::vector<int64_t> splits = {1};
  for (int64_t count = 2; count <= 64 && f.k / count >= 64; count *= 2) splits.push_back(count);
  space.push_back({"splits", splits, 1});
  return space;
}

bool Contraction::legal(const OpContext& context, const Schedule& schedule) const {
  const TilePlan p = plan_tiles(context, schedule);
  if (p.splits != schedule.at("splits") || p.shared_bytes() > kSharedOfTiles) return false;
  const int64_t threads = p.threads();
  if (threads < 64 || threads > 512 || threads % 32 != 0) return false;
  const int64_t registers = p.per_m * p.per_n * (p.element_bytes() / 4);
  if (registers * 2 * threads > 65536 || registers > 128) return false;
  // Grid limits of the second and third dimension.
  return p.facts->batch <= 65535 && p.splits <= 65535;
}

double Contraction::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const Machine machine(context.model);
  const TilePlan p = plan_tiles(context, schedule);
  const ContractionFacts& f = *p.facts;
  const double sms = machine.multiprocessors();
  const double rate =
      machine.flops_per_s(f.wide ? graph::DType::kF64 : graph::DType::kF32) / 2 / sms;
  const auto threads = static_cast<double>(p.threads());
  const auto products = static_cast<double>(p.per_m * p.per_n);
  // Cycles of a multiprocessor's multiply-add units per step of k of one block: products, reading
  // shared memory, loading and index arithmetic.
  const double reads = static_cast<double>(p.per_m + p.per_n) / (products >= 16 ? 4.0 : 2.0) * 2.0;
  const double moved = static_cast<double>(p.tile_m + p.tile_n) / threads;
  const double step = threads * (products * 1.15 + reads + moved * (14 + f.a_cost + f.b_cost));
  const double steps = static_cast<double>(p.part);
  const double finish = threads * products * (12 + f.finish_cost);
  const double block = (steps * step + finish) / rate;
  const double blocks = static_cast<double>(p.m_tiles * p.n_tiles * f.batch * p.splits);
  // A multiprocessor works at its full rate with some 16 warps; its blocks share it.
  const double registers = products * 2.0 + 40.0;
  const double resident =
      std::clamp(std::floor(std::min(65536.0 / (registers * threads),
                                     200e3 / static_cast<double>(p.shared_bytes()))),
                 1.0, 32.0);
  const double here = std::min(resident, std::ceil(blocks / sms));
  const double filled = std::min(1.0, 0.1 + here * threads / 512.0);
  const double waves = std::ceil(blocks / sms);
  const double compute = waves * block / filled;
  // Latency of one step when nothing hides it.
  const double latency =
      steps / static_cast<double>(p.tile_k) * 0.8e-6 * std::ceil(blocks / (resident * sms));
  const double tiles = static_cast<double>(p.m_tiles * p.n_tiles * f.batch);
  const double traffic = tiles * static_cast<double>((p.tile_m + p.tile_n) * f.k) * 4.0;
  double memory =
      std::max(context.bytes() / machine.bytes_per_s(), traffic / machine.cached_bytes_per_s());
  double launches = machine.launch_s();
  if (p.splits > 1) {
    const double outputs = static_cast<double>(f.batch * f.m * f.n);
    memory += 2.0 * outputs * static_cast<double>(p.splits) * 4.0 / machine.cached_bytes_per_s();
    launches += machine.launch_s() + 1e-6;
  }
  return std::max({compute, memory, latency}) + 0.2 * memory + launches;
}

Status Contraction::emit(const OpContext& context, const Schedule& schedule,
                         ProgramBuilder& builder) const {
  emit_tiles(context, plan_tiles(context, schedule), builder);
  return {};
}

}  // namespace kernelwright::expert::cuda

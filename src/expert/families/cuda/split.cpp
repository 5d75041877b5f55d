// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/split.h"

#include <algorithm>
#include <cmath>

#include "expert/dialects/cuda/machine.h"
#include "expert/families/cuda/split_emitter.h"

namespace kernelwright::expert::cuda {

namespace {

constexpr int64_t kMostPieces = int64_t{6} << 30;  // bytes of both operands' pieces
constexpr int64_t kMostExtent = int64_t{1} << 30;  // coordinates are 32 bits wide

// What a tile's multiplications reach of the measured rate: with 64 columns shared memory is as
// busy as the tensor cores; one chunk at a time leaves them idle while sums are added.
double efficiency(const SplitPlan& p) {
  return (p.tile_n >= 128 ? 0.92 : 0.6) * (p.stages >= 4 ? 1.0 : 0.94);
}

// Evaluating an operand and writing its pieces.
double prepass_seconds(const Machine& machine, double elements, double arithmetic) {
  const double memory = 10.0 * elements / machine.bytes_per_s();
  const double compute = elements * (40.0 + arithmetic) / machine.instructions_per_s();
  return std::max(memory, compute) + machine.launch_s() + 2e-6;
}

}  // namespace

bool SplitContraction::accepts(const OpContext& context) const {
  const auto& c = context.contraction();
  if (!c || c->nest.outer_points() <= 0 || c->nest.reduce_points() <= 0) return false;
  return Machine(context.model).hopper() && !contraction_facts(context).wide;
}

ScheduleSpace SplitContraction::space(const OpContext& context) const {
  ScheduleSpace space;
  space.push_back({"tile_n", {64, 128}, 128, Bears::kTraffic});
  space.push_back({"chunk", {32, 64}, 32, Bears::kTraffic});
  space.push_back({"cluster", {1, 2}, 2, Bears::kTraffic});
  return space;
}

bool SplitContraction::legal(const OpContext& context, const Schedule& schedule) const {
  const SplitPlan p = plan_split(context, schedule);
  const ContractionFacts& f = *p.facts;
  // Smaller ones would mostly multiply zeros; grids have 65535 blocks in y.
  if (f.m < 64 || f.n < 64 || f.k < 64 || f.batch > 65535) return false;
  if (std::max({f.m, f.n, p.k_padded, p.blocks()}) > kMostExtent) return false;
  return p.piece_bytes() <= kMostPieces && p.tiles_m >= p.cluster;
}

double SplitContraction::predict_seconds(const OpContext& context, const Schedule& schedule) const {
  const Machine machine(context.model);
  const SplitPlan p = plan_split(context, schedule);
  const ContractionFacts& f = *p.facts;
  const int64_t usable = machine.multiprocessors() / p.cluster * p.cluster;
  const auto sms = static_cast<double>(usable);
  const auto depth = static_cast<double>(p.chunks * p.chunk);
  const auto tile = static_cast<double>(SplitPlan::kTileM * p.tile_n);
  const double rate = machine.bf16_flops_per_s() / machine.multiprocessors() * efficiency(p);
  // Filling the ring, then the outputs through the finish expression by 256 threads.
  const double around =
      2e-6 + tile * (10 + f.finish_cost) * machine.multiprocessors() / machine.instructions_per_s();
  const auto blocks = static_cast<double>(p.blocks());
  const double compute = std::ceil(blocks / sms) * (12 * tile * depth / rate + around);
  const double fetched = blocks * 6 * depth * static_cast<double>(p.fetched_rows());
  double seconds = std::max(compute, fetched / machine.cached_bytes_per_s()) + machine.launch_s();
  const auto elements = [&](int64_t rows) { return static_cast<double>(f.batch * rows) * depth; };
  if (!f.weights_a) seconds += prepass_seconds(machine, elements(f.m), f.a_cost);
  if (!f.weights_b) seconds += prepass_seconds(machine, elements(f.n), f.b_cost);
  return seconds + 5e-6;
}

Status SplitContraction::emit(const OpContext& context, const Schedule& schedule,
                              ProgramBuilder& builder) const {
  emit_split(context, plan_split(context, schedule), builder);
  return {};
}

}  // namespace kernelwright::expert::cuda

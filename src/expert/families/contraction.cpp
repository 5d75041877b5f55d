// SPDX-License-Identifier: Apache-2.0
#include "expert/families/contraction.h"

#include <algorithm>
#include <cmath>

#include "expert/emit_util.h"
#include "expert/families/contraction_emitter.h"
#include "expert/families/contraction_plan.h"
#include "expert/families/register_tile.h"

namespace kernelwright::expert {

namespace {

constexpr int64_t kScratchLimit = 24 << 20;  // bytes per worker

std::vector<int64_t> block_counts(int64_t tiles) {
  std::vector<int64_t> counts;
  for (int64_t count = 1; count <= tiles && count <= 64; count *= 2) counts.push_back(count);
  return counts;
}

}  // namespace

bool ContractionFamily::accepts(const OpContext& context) const {
  const auto& c = context.contraction();
  return c && c->nest.outer_points() > 0 && c->nest.reduce_points() > 0;
}

ScheduleSpace ContractionFamily::space(const OpContext& context) const {
  const ContractionFacts& f = contraction_facts(context);
  std::vector<int64_t> mr, nv, kc;
  for (int64_t rows : {1, 2, 4, 6, 8, 10, 12, 14}) {
    // The smallest that covers a short side, and all below.
    if (mr.empty() || mr.back() < f.m) mr.push_back(rows);
  }
  for (int64_t vectors : {1, 2, 3, 4, 6}) {
    if (vectors == 1 || (vectors - 1) * f.lanes < f.n) nv.push_back(vectors);
  }
  // Sums restart every `kc` products: longer runs round more than the blocked sums of the usual
  // libraries do, and are refused on constant inputs, where every rounding goes the same way.
  for (int64_t depth : {128, 256}) {
    if (depth < f.k) kc.push_back(depth);
  }
  if (f.k <= 256) kc.push_back(0);
  ScheduleSpace space;
  space.push_back({"mr", mr, mr.back(), Bears::kArithmetic});
  space.push_back({"nv", nv, nv.back(), Bears::kArithmetic});
  space.push_back({"kc", kc, kc.back(), Bears::kTraffic});
  space.push_back({"mblocks", block_counts(ceil_div(f.m, mr.back())), 1, Bears::kTraffic});
  space.push_back(
      {"nblocks", block_counts(ceil_div(f.n, nv.back() * f.lanes)), 1, Bears::kTraffic});
  space.push_back({"order", {0, 1}, 0, Bears::kTraffic});
  const bool rows = f.inner < f.n;
  space.push_back({"flat", rows ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0}, 0});
  space.push_back(
      {"direct_a",
       f.direct_a && !f.weights_a ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0}, 0,
       Bears::kTraffic});
  space.push_back(
      {"direct_b",
       f.direct_b && !f.weights_b ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0}, 0,
       Bears::kTraffic});
  space.push_back({"slide", f.sliding ? std::vector<int64_t>{1, 0} : std::vector<int64_t>{0},
                   f.sliding.has_value(), Bears::kTraffic});
  space.push_back({"pairs",
                   may_pair(context) ? std::vector<int64_t>{1, 0} : std::vector<int64_t>{0},
                   may_pair(context), Bears::kArithmetic});
  return space;
}

bool ContractionFamily::legal(const OpContext& context, const Schedule& schedule) const {
  const ContractionPlan p = plan_contraction(context, schedule);
  if (!fits_registers(context, p.mr, p.nv)) return false;
  if (p.pairs && (p.direct_a || p.direct_b || p.sliding)) return false;
  if (p.sliding && (p.flat || p.direct_b || p.sliding->places < p.nr)) return false;
  if (p.direct_a && p.m % p.mr != 0) return false;
  if (p.direct_b && (p.n % p.nr != 0 || p.n != p.inner)) return false;
  // One block in its usual order is enough of a choice.
  if (p.n_fastest && (p.m_blocks == 1 || p.n_blocks == 1)) return false;
  return p.scratch_bytes() <= kScratchLimit;
}

double ContractionFamily::predict_seconds(const OpContext& context,
                                          const Schedule& schedule) const {
  const ContractionPlan p = plan_contraction(context, schedule);
  const double threads = std::max(1, context.threads);
  double rate = vector_rate(context, p.wide, p.lanes);
  // A pair takes one instruction of 4 operations a lane.
  if (p.pairs)
    rate = context.model.rate("bf16", graph::DType::kBF16) / std::max(1, context.model.threads) /
           (4.0 * static_cast<double>(p.lanes));
  double step = tile_step_seconds(p.mr, p.nv, rate) / (p.pairs ? 2 : 1);
  // Panels that do not fit the nearest caches.
  const double b_bytes = static_cast<double>(p.kc * p.nr * p.panel_bytes());
  if (b_bytes > 40e3) step *= 1.03;
  const double held =
      static_cast<double>((p.block_m * p.mr + p.block_n * p.nr) * p.packed_k * p.panel_bytes() +
                          p.block_m * p.mr * p.block_n * p.nr * p.element_bytes());
  if (held > 0.8 * 1048576) step *= 1.04;
  if (held > 4.0 * 1048576) step *= 1.06;
  if (p.direct_a && p.k * p.element_bytes() % 4096 == 0) step *= 1.3;
  if (p.sliding) step *= 1.1;  // vectors across two lines
  // Rows far apart: every step of k is another page and half a line more than asked for.
  if (p.direct_b && p.n * p.element_bytes() >= 1024 && p.k > 32) step *= p.nv > 1 ? 1.3 : 1.6;
  const double tiles = static_cast<double>(p.block_m * p.block_n);
  const double slices = static_cast<double>(ceil_div(p.k, p.kc));
  const double terms = static_cast<double>(p.k) * (p.zeros ? p.zeros->density() : 1.0);
  double block = tiles * (terms * step + slices * tile_store_seconds(p.mr, p.nv, rate));
  // Packing: contiguous runs move a vector at a time, others an element.
  const double element = 0.45e-9;
  const double repeat_a = p.n_fastest && p.m_blocks > 1 ? 1.0 / static_cast<double>(p.n_blocks)
                          : p.m_blocks == 1             ? 1.0 / static_cast<double>(p.n_blocks)
                                                        : 1.0;
  const double repeat_b =
      !p.n_fastest || p.n_blocks == 1 ? 1.0 / static_cast<double>(p.m_blocks) : 1.0;
  const bool run_short = p.flat && p.inner % p.nr != 0;
  block += static_cast<double>(p.a_elements()) * element * repeat_a;
  block += static_cast<double>(p.b_elements()) * element * repeat_b * (run_short ? 1.0 : 0.25);
  const double outputs = static_cast<double>(p.block_m * p.mr * p.block_n * p.nr);
  block +=
      outputs * (0.1 + 0.06 * p.facts->finish_cost) * 1e-9 * 16.0 / static_cast<double>(p.lanes);
  const double blocks = static_cast<double>(p.batch * p.m_blocks * p.n_blocks);
  const double compute = std::ceil(blocks / threads) * block;
  const double memory = context.bytes() / std::max(1e9, context.model.memory_bytes_per_s());
  return std::max(compute, memory) + 0.2 * memory + context.model.launch_s;
}

Status ContractionFamily::emit(const OpContext& context, const Schedule& schedule,
                               ProgramBuilder& builder) const {
  emit_contraction(context, plan_contraction(context, schedule), builder);
  return {};
}

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/families/contraction_plan.h"

namespace kernelwright::expert::cuda {

// The numbers that follow from a contraction and a schedule; kw_split.h says what they mean.
struct SplitPlan {
  static constexpr int64_t kTileM = 128;
  const rewrite::Contraction* c = nullptr;
  const ContractionFacts* facts = nullptr;
  int64_t tile_n = 128, chunk = 32, cluster = 1;
  int64_t stages = 4;
  int64_t k_padded = 32;  // multiple of chunk
  int64_t tiles_m = 1, tiles_n = 1;
  int64_t chunks = 2;  // even

  int64_t stage_bytes() const { return 6 * (kTileM + tile_n) * chunk; }
  int64_t shared_bytes() const { return stages * stage_bytes() + kBesideStages; }
  int64_t piece_bytes() const { return 6 * facts->batch * (facts->m + facts->n) * k_padded; }
  // Of A and B that a block gets from L2; the rest comes from its cluster.
  int64_t fetched_rows() const { return kTileM + tile_n / cluster; }
  // Tiles that clusters take, counted in blocks.
  int64_t blocks() const {
    return facts->batch * ((tiles_m + cluster - 1) / cluster) * cluster * tiles_n;
  }

  // Barriers, and up to the multiple of 1024 where the stages begin.
  static constexpr int64_t kBesideStages = 1024 + 256;
};

SplitPlan plan_split(const OpContext& context, const Schedule& schedule);
void emit_split(const OpContext& context, const SplitPlan& plan, ProgramBuilder& builder);

}  // namespace kernelwright::expert::cuda

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/families/contraction_plan.h"

namespace kernelwright::expert::cuda {

// The numbers that follow from a contraction and a schedule.
struct TilePlan {
  const rewrite::Contraction* c = nullptr;
  const ContractionFacts* facts = nullptr;
  int64_t tile_m = 64, tile_n = 64, tile_k = 16;  // of a block
  int64_t per_m = 4, per_n = 4;                   // of a thread
  int64_t m_tiles = 1, n_tiles = 1;
  int64_t splits = 1, part = 1;               // part: k steps of one split, a multiple of tile_k
  bool a_along_k = false, b_along_k = false;  // neighbouring threads load neighbours in k

  int64_t threads() const { return tile_m / per_m * (tile_n / per_n); }
  int64_t element_bytes() const { return facts->wide ? 8 : 4; }
  // Rows of a tile in shared memory are padded, so that they stay aligned and change banks.
  int64_t row_a() const { return tile_m + 4; }
  int64_t row_b() const { return tile_n + 4; }
  int64_t shared_bytes() const { return tile_k * (row_a() + row_b()) * element_bytes(); }
};

TilePlan plan_tiles(const OpContext& context, const Schedule& schedule);
void emit_tiles(const OpContext& context, const TilePlan& plan, ProgramBuilder& builder);

}  // namespace kernelwright::expert::cuda

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/families/contraction.h"

namespace kernelwright::expert::cuda {

// Sums of products as tiled matrix products with plain multiply-adds in f32 (f64 where the op
// computes so). Both operands are computed on their way into shared memory, whatever expressions
// they are; each thread keeps a tile of C in registers, whose sums restart every kRestart products;
// the finish expression writes the output. Knobs: `tile_m`, `tile_n` (of a block), `tile_k`,
// `per_m`, `per_n` (of a thread), `splits` (parts of k with blocks of their own; a second launch
// adds them up).
class Contraction : public ContractionFamily {
 public:
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert::cuda

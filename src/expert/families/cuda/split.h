// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert::cuda {

// Large sums of products in f32 on Hopper's tensor cores, at f32 accuracy: one launch per operand
// evaluates it (whatever expression it is) and cuts each number into three bf16 pieces, an operand
// made of weights once in `prepare`; the product of the pieces is kw_split.h's. Knobs: `tile_n`,
// `chunk` (of K, between two additions in f32), `cluster` (blocks that share tiles of B).
//
// With d = 2 m n k: 6 d flop on bf16 tensor cores, 10 (m + n) k bytes read and written before them,
// and 6 m n k (1 / tile_n + 1 / (128 cluster)) bytes of pieces from L2.
class SplitContraction : public Family {
 public:
  std::string name() const override { return "split"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert::cuda

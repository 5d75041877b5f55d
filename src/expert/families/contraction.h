// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// Sums of products as blocked matrix products (matmul, linear, batched, convolution as an implicit
// one). Register tiles of mr rows by nv vectors; operands packed into panels [tile][k][mr or
// lanes], weights once in `prepare`, others per worker and block; the sum of each k block starts
// anew and is added to a tile of C in the worker's scratch, from which the finish expression writes
// the output. Knobs: mr, nv; kc (k block); mblocks, nblocks (cuts of M and N, also the unit of
// parallel work); order (which operand's block stays while the other changes); flat (0: tiles do
// not cross rows of the innermost N axis); direct_a, direct_b (read the operand where it lies).
class ContractionFamily : public Family {
 public:
  std::string name() const override { return "contraction"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert

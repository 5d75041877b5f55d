// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert::cuda {

// Expressions without reductions over the same points, several outputs in one kernel: each thread
// takes a few runs of neighbours, loads them in wide accesses, computes and stores.
// dialects/cuda/point_kernel.h has the knobs.
class Pointwise : public Family {
 public:
  std::string name() const override { return "pointwise"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert::cuda

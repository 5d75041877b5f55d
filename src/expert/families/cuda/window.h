// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/families/window.h"

namespace kernelwright::expert::cuda {

// Short reductions written out: then they are points like any other. dialects/cuda/point_kernel.h
// has the knobs.
class Window : public WindowFamily {
 public:
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert::cuda

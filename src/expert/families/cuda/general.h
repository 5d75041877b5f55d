// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/families/general.h"

namespace kernelwright::expert::cuda {

// One thread per output element, one kernel per stage.
class General : public GeneralFamily {
 public:
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert::cuda

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// One plain loop nest per stage, parallel over the output. Correct for every op; no knobs.
class GeneralFamily : public Family {
 public:
  std::string name() const override { return "general"; }
  bool accepts(const OpContext& context) const override { return true; }
  ScheduleSpace space(const OpContext& context) const override { return {}; }
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/dialects/kernel_arguments.h"
#include "expert/dialects/spelling.h"
#include "expert/family.h"

namespace kernelwright::expert {

// One plain loop nest per stage, parallel over the output. Correct for every op; no knobs. The
// stages of a recurrence share one team launch, with a barrier after each.
class GeneralFamily : public Family {
 public:
  std::string name() const override { return "general"; }
  bool accepts(const OpContext& context) const override { return true; }
  bool takes_loops() const override { return true; }
  ScheduleSpace space(const OpContext& context) const override { return {}; }
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

// Statements that compute one element of a nest's output, with all its reduction loops. The element
// is number `point`, a variable of the spelling's index type.
std::string general_point(const OpContext& context, const rewrite::Nest& nest,
                          KernelArguments& kernel, const code::Spelling& spelling);

}  // namespace kernelwright::expert

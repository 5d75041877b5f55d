// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// A recurrence in one team launch: every worker has some units of every step and keeps their
// weights, packed in `prepare`, in its cache. Gates follow on the sums in registers and L1; one
// barrier per step. Directions are independent work within a step. Knobs: batch rows and vectors of
// units in registers, parts that the batch is cut into.
class RecurrenceFamily : public Family {
 public:
  std::string name() const override { return "recurrence"; }
  bool accepts(const OpContext& context) const override;
  bool takes_loops() const override { return true; }
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert

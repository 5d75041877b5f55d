// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// Convolutions with 3x3 windows, unit stride and constant filters by minimal filtering
// (winograd_plan.h). One kernel: a block's patches are transformed into the worker's scratch, a
// register tile of output channels at a time is multiplied with the filters that `prepare` has
// transformed and packed, and leaves through the inverse transform and the finish expression.
// Knobs: tile (outputs per tile and side), rows (rows of tiles per block), mr, nv (register tile:
// output channels by vectors of tiles), kc (input channels after which sums restart), mblocks (cuts
// of the output channels).
class WinogradFamily : public Family {
 public:
  std::string name() const override { return "winograd"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert

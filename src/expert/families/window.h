// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// Short reductions (pooling, depthwise filters): all points of the window are written out in one
// expression, and vector lanes run along the innermost output axis. Where conditions on that axis
// (padding) hold in an interval, the loop is cut in three and the middle one has no conditions.
// Knobs: chunk (elements along the inner axis per grid point), split.
class WindowFamily : public Family {
 public:
  std::string name() const override { return "window"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

// The reduction written out: an expression over the output axes.
graph::Expr unrolled_window(const rewrite::Nest& nest);

}  // namespace kernelwright::expert

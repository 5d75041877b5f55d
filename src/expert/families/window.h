// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// Short reductions (pooling, depthwise filters): all points of the window are written out in one
// expression, and vector lanes run along the innermost output axis. Where conditions on that axis
// (padding) hold in an interval, the loop is cut in three and the middle one has no conditions; or
// the image is first copied with its border, and no window has any (halo.h). Knobs: chunk (elements
// along the inner axis per grid point; of all rows that one image with its border is for), split,
// halo.
class WindowFamily : public Family {
 public:
  std::string name() const override { return "window"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

// The reduction written out: an expression over the output axes.
graph::Expr unrolled_window(const rewrite::Nest& nest);

}  // namespace kernelwright::expert

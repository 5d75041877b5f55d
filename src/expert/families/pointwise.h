// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// One expression per output element, no reduction. The inner loop runs along the output's last
// axis. Knobs: `chunk` elements per grid point (power of two), `stream` (stores past the caches,
// for outputs that would only evict what is wanted), `line` (elements between two of these stores),
// `tile` (0, or the edge of square tiles when a load runs across rows).
class PointwiseFamily : public Family {
 public:
  std::string name() const override { return "pointwise"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert

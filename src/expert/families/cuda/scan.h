// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/families/scan.h"

namespace kernelwright::expert::cuda {

// Running values. Knobs: `threads` (0: one thread makes a row, neighbours lie side by side; else a
// block makes it, each thread some neighbours, and the threads' totals are scanned); `vector`
// (elements per thread and turn).
class Scan : public ScanFamily {
 public:
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert::cuda

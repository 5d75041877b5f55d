// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert {

// Reductions, alone or as a row group (softmax, norms, logsumexp): one kernel that makes as few
// passes over each row as the data flow allows. Vector lanes run along the row (lanes 0), with many
// partial accumulators, or along the innermost outer axis (lanes 1: columns, channels). Sums
// are kept in fp64. Knobs: lanes; width (lanes per step); keep (values that several passes need are
// kept in the worker's scratch, else computed again); stream (the last pass stores past the
// caches); ahead (the next row is asked for); reciprocal (reciprocal.h); moments (row_moments.h).
class RowFamily : public Family {
 public:
  std::string name() const override { return "row"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert

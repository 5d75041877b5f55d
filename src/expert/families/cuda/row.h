// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"

namespace kernelwright::expert::cuda {

// Reductions, alone or as a row group (softmax, norms, logsumexp), in as few passes over each row
// as the data flow allows; argmax and argmin by themselves. Sums and products are kept in fp64, as
// the CPU's. Knobs: `lanes` (0: threads run along the row; 1: along the innermost outer axis, for
// columns and channels); `threads` per row; `vector` (neighbours per access, lanes 0 only); `hold`
// (what several passes need of a row: 0 loaded and computed again, 1 in registers, 2 in shared
// memory, 3 half in each); `slices` (parts of a row that blocks of their own reduce; a second
// launch combines them); `cluster` (blocks of a cluster that share a row); `group` (blocks of a
// cooperative launch that share a row; groups take rows in turn, as many as are resident for sure);
// `stay` (of a group: 1 keeps what is the same for all rows on the chip, as far as it fits beside
// the row of the only block of a multiprocessor); `ahead` (of a group: 1 copies the next row to
// shared memory as this one leaves it, half of it by way of L2 during the exchange before). A group
// that holds its row makes one pass and one exchange of a mean and the squares around it.
class Row : public Family {
 public:
  std::string name() const override { return "row"; }
  bool accepts(const OpContext& context) const override;
  ScheduleSpace space(const OpContext& context) const override;
  bool legal(const OpContext& context, const Schedule& schedule) const override;
  double predict_seconds(const OpContext& context, const Schedule& schedule) const override;
  Status emit(const OpContext& context, const Schedule& schedule,
              ProgramBuilder& builder) const override;
};

}  // namespace kernelwright::expert::cuda

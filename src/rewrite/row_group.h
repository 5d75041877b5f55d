// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "rewrite/nest.h"

namespace kernelwright::rewrite {

// Reductions over the same rows and what lies between them (softmax, norms), brought to common
// axes: outer axes tell rows apart, row axes run along one. A nest of a reduction has the outer
// axes as output axes and the row axes as reduction axes; a pointwise member has all of them as
// output axes, or the outer ones alone when it makes one value per row.
struct RowGroup {
  std::vector<int64_t> outer, row;
  struct Member {
    Nest nest;
    bool reduces = false;
    bool per_row = false;  // one value per row: reductions, and pointwise members without row axes
  };
  std::vector<Member> members;

  const Member* find(int tensor) const;  // the member that makes a tensor
  int64_t rows() const;
  int64_t row_length() const;
};

// A group of one reduction; nullopt when the stage is none.
std::optional<RowGroup> start_row_group(const graph::Stage& stage,
                                        const std::vector<graph::StageTensor>& tensors);
// Takes a stage that reads the group into it; false (and the group as it was) when its axes do not
// fit.
bool join_row_group(RowGroup& group, const graph::Stage& stage,
                    const std::vector<graph::StageTensor>& tensors);
// Takes in a pointwise stage that makes a value along the row which members read; false when it
// does not fit.
bool join_row_producer(RowGroup& group, const graph::Stage& stage,
                       const std::vector<graph::StageTensor>& tensors);
// Merges axes that no member tells apart.
void merge_row_group(RowGroup& group);

}  // namespace kernelwright::rewrite

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "graph/stage.h"

namespace kernelwright::rewrite {

// Rows this long, when there are few of them, want to be cut up over the workers.
inline constexpr int64_t kLongRow = 16384;

// A long reduction with few results in two steps, so that all workers have a part: partial results
// over slices of one axis, then their combination. Leaves other stages as they are.
void split_long_reductions(std::vector<graph::Stage>& stages,
                           std::vector<graph::StageTensor>& tensors, int64_t few_rows);

}  // namespace kernelwright::rewrite

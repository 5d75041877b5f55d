// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "graph/stage.h"

namespace kernelwright::rewrite {

// What a region is apart from its extents: tensors by role, dtype and rank, stages by combiner,
// loop and expressions, in which every constant counts the same (extents hide in them as strides of
// flattened positions, bounds of padding and divisors of means). Regions with one structure take
// each other's schedules. A hash, in hexadecimal.
std::string structure_of(const graph::StageGraph& graph);

// What structure_of() leaves out: shapes of all tensors, then all reductions, in order.
std::vector<int64_t> extents_of(const graph::StageGraph& graph);

// Octaves between two regions of one structure: the sum of |log2| of the ratios of their extents.
// Infinity where there are more of one than of the other.
double octaves_between(const std::vector<int64_t>& a, const std::vector<int64_t>& b);

}  // namespace kernelwright::rewrite

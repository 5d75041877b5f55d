// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "expert/families/cuda/row_parts.h"

namespace kernelwright::expert::cuda {

// Results that a block keeps in registers as it leaves a row, to store them while its next row's
// totals travel: memory has work then, and a block that is late for one row catches up. They are
// the first `late` vectors of what the last pass makes: what is copied to their
// places comes first as well.

// Members whose results the last pass stores as vectors along the row; empty where it stores others
// as well.
std::vector<size_t> late_results(const OpContext& context, const RowLayout& layout,
                                 const Passes& plan);
// Sets how many vectors wait: as many as find room in the registers that what stays has left, up to
// a quarter of the row.
void place_late(const OpContext& context, const Passes& plan, RowLayout& layout);

// `parts` cut behind the first `late` vectors, which become parts of their own whose register
// numbers are known.
std::vector<Part> cut_late(const std::vector<Part>& parts, const RowLayout& layout);
// Those vectors.
Part late_part(const RowLayout& layout);

// "late<j>[k + u]", the place of a vector of member j.
std::string late_place(size_t member);
// Declarations, before the loop over rows: the places, and `left`, the row that they are of.
std::string declare_late(const OpContext& context, const RowLayout& layout, const Passes& plan,
                         const std::string& type);

}  // namespace kernelwright::expert::cuda

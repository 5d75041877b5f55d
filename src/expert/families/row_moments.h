// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "expert/families/row_plan.h"

namespace kernelwright::expert {

// The first mean of a group with the squares about it, where the squares are all that their pass is
// about; nullopt: there is none.
std::optional<MomentPair> find_moment_pair(const Passes& plan);

// Both in one pass over a row, on the CPU, where lanes run along the row. Let c be the row's first
// element (0 where that is infinite or nothing that is stored), n its points, S and Q the sums of
// x - c and (x - c)^2, all in fp64. Then the mean is c + S / n, and the squares about what the mean
// was rounded to, m, are Q - S^2 / n + n (c + S / n - m)^2. As c is one of the points, at most
// log2(n) bits cancel in the first difference.

// Statement for lane l: an element joins acc<mean> and acc<squares>.
std::string add_to_moments(const MomentPair& moments, const std::string& value);
// After all lanes were added up: the sum of the elements.
std::string moment_sum(const MomentPair& moments, int64_t points);
// The squares about val<mean>; not negative, or NaN.
std::string moment_squares(const MomentPair& moments, int64_t points);

}  // namespace kernelwright::expert

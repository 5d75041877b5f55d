// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "expert/families/cuda/row_combine.h"
#include "expert/families/cuda/row_emitter.h"

namespace kernelwright::expert::cuda {

// Members of a row group that are a mean and the sum of squares of what the row's elements deviate
// from it. Blocks that share a row know neither alone, but one exchange is enough: each block sums
// the squares of deviations from a centre of its own, the mean of its part.
struct Moments {
  size_t mean = 0, squares = 0;
};

// The first such pair whose squares are all that their pass is about.
std::optional<Moments> find_moments(const Passes& plan);

// A total of each block, which a scratch buffer takes: [turn][group][block].
struct Offered {
  Total total;
  std::string values;
};

// Every block's totals become those of the group, in one order for all. Two places take turns: who
// goes on to the next row may be ahead of who still reads.
std::string exchange_totals(const std::vector<Offered>& offered, const RowLayout& layout,
                            const std::string& index);

// The centre of the block's own part, of type `type`, out of its sum.
std::string own_centre(const Moments& moments, const RowLayout& layout, int64_t length,
                       const std::string& type);

// The same for totals among which are both of `moments`, squares taken around own_centre().
//
// Of part b be n its points, s their sum, c its centre and q the sum of (x - c)^2. Then for any f,
// with c' = c - f and s' = s - n f, the sum of (x - f)^2 over the part is q + c' (2 s' - n c'), and
// over the row of N points with mean m it is M + N (m - f)^2, M being what is wanted. All terms are
// fp64. f is the first part's centre, which makes the subtraction harmless: M >= n0 (m - f)^2 up to
// the rounding of f, so no more than log2(N / n0) bits cancel.
std::string exchange_moments(const Moments& moments, const std::vector<Offered>& offered,
                             const RowLayout& layout, int64_t length, const std::string& type,
                             const std::string& index);

}  // namespace kernelwright::expert::cuda

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

// Blocks of a group offer totals to one another in a `sync` buffer of 64-bit words, two per total
// (kw_offer): [turn][group][word][block]. Two places take turns: who goes on to the next row may
// be ahead of who still reads, by one row and no more. Variables `turn`, `flag`, `group`, `part`
// and `lane` are known.
struct Exchange {
  std::string words;          // the buffer's variable
  std::vector<Total> totals;  // in the order in which they lie
};
int64_t exchange_words(const RowLayout& layout, size_t totals);

// Every block's totals become those of the group, in one order for all.
std::string exchange_totals(const Exchange& exchange, const RowLayout& layout,
                            const std::string& index);
// Leaves zeros, when all blocks of the group have taken what they waited for.
std::string clear_exchange(const Exchange& exchange, const RowLayout& layout);

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
std::string exchange_moments(const Moments& moments, const Exchange& exchange,
                             const RowLayout& layout, int64_t length, const std::string& type,
                             const std::string& index);

}  // namespace kernelwright::expert::cuda

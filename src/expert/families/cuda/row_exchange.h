// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "expert/families/cuda/row_combine.h"
#include "expert/families/cuda/row_emitter.h"

namespace kernelwright::expert::cuda {

// Members of a row group that are a mean and the sum of squares of what the row's elements deviate
// from it. Blocks that share a row know neither alone, but one pass and one exchange are enough:
// each block sums the squares of deviations from a centre of its own, the mean of its part, and
// each of its threads those from its own first element.
struct Moments {
  size_t mean = 0, squares = 0;
  int64_t points = 0;  // of a thread; 0: threads differ and count theirs
};

// The first such pair whose squares are all that their pass is about.
std::optional<Moments> find_moments(const Passes& plan, const RowLayout& layout);

// Blocks of a group offer totals to one another in a `sync` buffer of 64-bit words, two per total
// (kw_offer): [turn][group][word][block]. Two places take turns: who goes on to the next row may
// be ahead of who still reads, by one row and no more. Variables `turn`, `flag`, `group`, `part`
// and `lane` are known.
struct Exchange {
  std::string words;          // the buffer's variable
  std::vector<Total> totals;  // in the order in which they lie
  std::string meanwhile;      // statements while totals travel
};
int64_t exchange_words(const RowLayout& layout, size_t totals);

// Every block's totals become those of the group, in one order for all.
std::string exchange_totals(const Exchange& exchange, const RowLayout& layout,
                            const std::string& index);
// Leaves zeros, when all blocks of the group have taken what they waited for.
std::string clear_exchange(const Exchange& exchange, const RowLayout& layout);

// The first pass, in the order in which the four stand. Of a thread let n be its points, c its
// first element, S and Q the sums of x - c and of its square. Around its own mean the squares are
// Q - S^2 / n, from which at most log2(n) bits cancel: c is one of the points, so what is left is
// at least (S / n)^2 n / (n - 1), and S^2 / n is taken away. Around the block's centre f they are
// more by n (c + S / n - f)^2. All terms are fp64. An infinity is no centre.
std::string begin_moments(const Moments& moments, const std::string& type);
// For an element, in the loops over k, u and e.
std::string add_to_moments(const Moments& moments, const std::string& value);
// After the loops: the thread's sum, and its squares around its own mean.
std::string thread_moments(const Moments& moments);
// The thread's squares around val<mean>, the block's centre.
std::string block_squares(const Moments& moments);
// That centre, of type `type`, out of the block's sum.
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

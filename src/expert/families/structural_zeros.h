// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rewrite/contraction.h"

namespace kernelwright::expert {

// Products that a contraction need not make because a condition on A's own axes says that A is zero
// there, whatever the numbers are: the taps of a transposed convolution that a phase does not hear
// (graph/ops_convolution.cpp).
struct StructuralZeros {
  // Rows and terms in an order that has the condition's axes outermost.
  std::vector<int> m, k;
  // So many neighbours in that order share an answer.
  int64_t rows = 1, terms = 1;
  std::vector<std::vector<bool>> kept;  // [m / rows][k / terms]

  double density() const;  // share of products that remain

  struct Run {
    int64_t first = 0, count = 0;
  };
  // The terms that rows [begin, end) need, in runs of at most `longest`; at least one.
  std::vector<Run> runs(int64_t begin, int64_t end, int64_t longest) const;
};

// nullopt when A has no such condition, or it is true everywhere.
std::optional<StructuralZeros> structural_zeros(const rewrite::Contraction& c);

// Two constant arrays of C: tile u of `rows` of the `m` rows has the runs
// [name_begin[u], name_begin[u + 1]) of name_runs, each a first term and a count.
std::string runs_table(const std::string& name, const StructuralZeros& zeros, int64_t m,
                       int64_t rows, int64_t longest);

}  // namespace kernelwright::expert

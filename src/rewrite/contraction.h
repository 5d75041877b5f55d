// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "rewrite/nest.h"

namespace kernelwright::rewrite {

// A sum of products seen as a batch of matrix products C[m,n] = sum over k of A[m,k] * B[k,n].
// Every axis of the nest has one role: batch (both factors and the output), m (A and the output), n
// (B and the output), k (reduced). The output is contiguous along n when it can be, or as
// near as the phases of a transposed convolution leave it. Factors may be any expressions.
struct Contraction {
  Nest nest;
  graph::Expr a, b;
  std::vector<int> batch, m, n, k;  // axes, outermost first

  int64_t extent(const std::vector<int>& axes) const;
};

// nullopt when the stage is no sum of products of two factors that use different output axes.
std::optional<Contraction> match_contraction(const graph::Stage& stage,
                                             const std::vector<graph::StageTensor>& tensors);

}  // namespace kernelwright::rewrite

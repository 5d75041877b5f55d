// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "rewrite/fuse.h"
#include "rewrite/nest.h"

namespace kernelwright::rewrite {

// A softmax between two contractions, over common axes:
//   s[i,j] = score(sum over d of query[i,d] * key[j,d])
//   out[i,e] = finish(sum over j of softmax_j(s)[i,j] * value[j,e])
// for every point of the batch axes; i row, j key, d depth, e column. It can be computed block by
// block along j, without s in memory (online softmax: Milakov and Gimelshein 2018, arXiv
// 1805.02867; blocks of rows and keys: Dao et al. 2022, FlashAttention, arXiv 2205.14135).
//
// Proof sketch. Let m_b be the maximum over the first b blocks, z_b and o_b the sums over these of
// exp(s - m_b) and exp(s - m_b) * value. With a = exp(m_b - m_b+1), the sums up to block b + 1 are
// a * z_b and a * o_b plus those of the new block taken with m_b+1, since exp(s - m_b) * a =
// exp(s - m_b+1). After the last block m is the row's maximum and o / z what the stages say. Where
// all keys so far score -infinity, m is replaced by 0 within exp: all terms are 0, and so is what
// is carried over. Rounding differs; NaN and +infinity among the scores of a row reach z and so the
// whole row, as they do in the stages; a row of -infinity alone gives 0 / 0, or what
// `empty_is_zero` says.
struct Attention {
  Nest nest;  // body: value; finish and store of the output. Output axes, then key and depth
  graph::Expr query, key, value;
  graph::Expr score;           // of reduced(); may read the batch, row and key axes
  bool empty_is_zero = false;  // a row without a finite score sums to 0
  std::vector<int> batch;      // the other output axes, and rows' beside the longest
  int row = -1;                // used by the query and the scores only; -1: one row
  int column = -1, keys = -1, depth = -1;
  std::vector<size_t> members;  // stages that it stands for, in order

  int64_t extent(int axis) const {  // 1 for none
    return axis < 0 ? 1 : nest.extents[static_cast<size_t>(axis)];
  }
};

// The attention whose second product is stage `last`. Condition: its factor is exp(s - m) / z, or a
// choice between that and 0 where s is -infinity anyway, with m and z the maximum and the sum of
// exp(s - m) over the same axis, of the same scores; pointwise stages between these count as
// written out. What the members make, other stages do not read. Query and key depend on the row and
// on the keys alone; key, depth and column are one axis each.
std::optional<Attention> match_attention(const std::vector<graph::Stage>& stages, size_t last,
                                         const std::vector<graph::StageTensor>& tensors);

// Lists what is an attention in FusedGraph::joined; `stages` are those of the ops.
void join_attention(FusedGraph& fused, const std::vector<graph::Stage>& stages);

}  // namespace kernelwright::rewrite

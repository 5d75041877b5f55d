// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/family.h"
#include "rewrite/attention.h"

namespace kernelwright::expert {

// How an operand can be read where it lies: offset = base(batch) + key * key_stride + along *
// stride, where `along` is the depth or the column.
struct DirectKeys {
  int tensor = -1;
  int64_t key_stride = 0, stride = 0;
};

// Keys beyond which a row scores -infinity: key <= (reach of the row) / step. A causal mask.
struct KeyLimit {
  graph::Expr reach;  // of the batch and row axes
  int64_t row = 0;    // the row's coefficient in it
  int64_t step = 1;
};

// What does not depend on the schedule.
struct AttentionFacts {
  int64_t lanes = 1;  // elements per vector
  int64_t batch = 1, rows = 1, keys = 1, depth = 1, columns = 1;
  std::optional<DirectKeys> direct_key, direct_value;
  std::optional<KeyLimit> limit;
  double score_cost = 0, finish_cost = 0;
  int64_t strided_loads = 0;  // of a score's, that lanes along the rows do not read side by side
};
// nullopt where the family cannot make it (other types than fp32 in registers, nothing to do).
std::optional<AttentionFacts> attention_facts(const OpContext& context);

// The numbers that follow from an attention and a schedule. A point is some rows of one batch
// element; it walks over blocks of keys. Scores lie key by key, lanes along the rows; results lie
// row by row, lanes along the columns.
struct AttentionPlan {
  const rewrite::Attention* a = nullptr;
  AttentionFacts facts;
  int64_t rows = 1, row_blocks = 1;
  int64_t keys = 1;                     // per block, a multiple of score_mr
  int64_t score_mr = 1, score_nv = 1;   // register tile: keys by vectors of rows
  int64_t value_mr = 1, value_nv = 1;   // rows by vectors of columns
  int64_t pitch = 1;                    // of scores and packed queries
  int64_t out_rows = 1, out_pitch = 1;  // of results
  int64_t depth_slice = 1;              // products after which a score's sum restarts
  bool direct_key = false, direct_value = false;
  bool whole = false;  // what is packed is packed once for all rows of a batch element

  int64_t packed_keys() const { return whole ? facts.keys : keys; }
  int64_t last_tile() const { return facts.keys % score_mr; }  // keys of the last register tile
  // Per-worker scratch in elements, each part a multiple of 16.
  int64_t query_elements() const;
  int64_t score_elements() const;
  int64_t out_elements() const;
  int64_t key_elements() const;
  int64_t value_elements() const;
  int64_t row_elements() const;  // of one value per row
  int64_t scratch_elements() const;
  // Keys that the block of rows starting at `row` walks over, batch axes at 0.
  int64_t keys_of(int64_t row) const;
};

AttentionPlan plan_attention(const OpContext& context, const Schedule& schedule);

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "expert/families/sliding.h"
#include "expert/families/structural_zeros.h"
#include "expert/family.h"
#include "rewrite/contraction.h"

namespace kernelwright::expert {

// How an operand can be read where it lies: offset = base(batch) + row * row_stride + k * k_stride.
struct DirectOperand {
  int tensor = -1;
  int64_t row_stride = 0, k_stride = 0;
};

// What does not depend on the schedule.
struct ContractionFacts {
  bool wide = false;  // computes in f64
  int64_t lanes = 1;  // elements per vector
  int64_t batch = 1, m = 1, n = 1, k = 1;
  int64_t inner = 1;  // extent of the innermost N axis (1 when there is no N axis)
  bool weights_a = false, weights_b = false;  // made of weights alone
  std::optional<DirectOperand> direct_a, direct_b;
  double finish_cost = 0, a_cost = 0, b_cost = 0;
  bool a_contiguous = false;  // A's loads run along M, which is one axis
  bool b_contiguous = false;  // B's loads run along the innermost N axis
  std::optional<StructuralZeros> zeros;
  rewrite::Contraction sparse;  // with rows and terms in the order of `zeros`
  std::optional<Sliding> sliding;
  // The axis of m, -1 if there is none, whose few points lie between two columns in the output: the
  // phases of a transposed convolution.
  int between = -1;
};
const ContractionFacts& contraction_facts(const OpContext& context);

// Whether operands may be rounded to bf16 and the machine multiplies pairs of them.
bool may_pair(const OpContext& context);

// The numbers that follow from a contraction and a schedule.
struct ContractionPlan {
  const rewrite::Contraction* c = nullptr;
  const StructuralZeros* zeros = nullptr;  // products to leave out
  const Sliding* sliding = nullptr;        // B by places of its image
  int between = -1;                        // an axis of m whose points are written side by side
  const ContractionFacts* facts = nullptr;
  bool wide = false;  // computes in f64
  int64_t lanes = 1;  // elements per vector
  int64_t batch = 1, m = 1, n = 1, k = 1;
  int64_t inner = 1;  // extent of the innermost N axis (1 when there is no N axis)
  int64_t mr = 1, nv = 1, nr = 1, kc = 1;
  int64_t m_tiles = 1, n_tiles = 1;
  // Tiles per row of the innermost N axis, or per image of a sliding B; only when not flat.
  int64_t inner_tiles = 1;
  int64_t block_m = 1, block_n = 1;  // tiles per block
  int64_t m_blocks = 1, n_blocks = 1;
  bool flat = false, n_fastest = false;
  bool direct_a = false, direct_b = false;
  bool weight_a = false, weight_b = false;  // packed in `prepare`
  // Operands rounded to bf16 and multiplied in pairs (register_tile.h); panels then hold an even
  // number of k, the last of an odd one against zero.
  bool pairs = false;
  int64_t packed_k = 1;

  int64_t element_bytes() const { return wide ? 8 : 4; }               // of sums and results
  int64_t panel_bytes() const { return pairs ? 2 : element_bytes(); }  // of a packed element
  // Per-worker scratch: elements of packed operands, bytes of each part (whole cache lines).
  int64_t a_elements() const;
  int64_t b_elements() const;
  int64_t a_bytes() const;
  int64_t b_bytes() const;
  int64_t c_bytes() const;
  int64_t scratch_bytes() const { return a_bytes() + b_bytes() + c_bytes(); }
};

ContractionPlan plan_contraction(const OpContext& context, const Schedule& schedule);

}  // namespace kernelwright::expert

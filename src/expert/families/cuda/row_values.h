// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "expert/dialects/spelling.h"
#include "expert/families/cuda/row_combine.h"
#include "rewrite/row_group.h"

namespace kernelwright::expert::cuda {

// Of what type the values of a row group are: what members have per row or element, and what sums
// run in. `j` is a member's number.
class RowValues {
 public:
  RowValues(const rewrite::RowGroup& group, code::Real real, const code::Spelling& spelling)
      : group_(group), real_(real), spelling_(spelling) {}

  static graph::ScalarKind kind(const rewrite::RowGroup::Member& member);
  std::string type(size_t j) const;
  // A mean must be right to its last bit: on rows of small variance a norm multiplies its rounding.
  code::Real reduced_real(size_t j) const;
  std::string reduced_type(size_t j) const;
  std::string zero(size_t j) const;
  bool arg(size_t j) const;
  std::vector<Total> totals(const std::vector<size_t>& reductions) const;
  // Of a buffer of partial results.
  graph::DType partial_dtype(size_t j) const;

 private:
  const rewrite::RowGroup& group_;
  code::Real real_;
  const code::Spelling& spelling_;
};

}  // namespace kernelwright::expert::cuda

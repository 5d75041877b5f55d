// SPDX-License-Identifier: Apache-2.0
#include "expert/families/cuda/row_values.h"

#include "expert/dialects/reduce.h"

namespace kernelwright::expert::cuda {

using code::Real;
using graph::Combiner;
using graph::ScalarKind;

ScalarKind RowValues::kind(const rewrite::RowGroup::Member& member) {
  if (member.nest.finish) return member.nest.finish->kind;
  return code::is_arg(member.nest.combiner) ? ScalarKind::kInt : member.nest.body->kind;
}

std::string RowValues::type(size_t j) const {
  return code::value_type(kind(group_.members[j]), real_);
}

Real RowValues::reduced_real(size_t j) const {
  const Combiner combiner = group_.members[j].nest.combiner;
  return combiner == Combiner::kSum || combiner == Combiner::kProd ? Real::kF64 : real_;
}

std::string RowValues::reduced_type(size_t j) const {
  return code::value_type(group_.members[j].nest.body->kind, reduced_real(j));
}

std::string RowValues::zero(size_t j) const {
  const auto& nest = group_.members[j].nest;
  return code::identity(nest.combiner, nest.body->kind, reduced_real(j), spelling_);
}

bool RowValues::arg(size_t j) const {
  return code::is_arg(group_.members[j].nest.combiner);
}

std::vector<Total> RowValues::totals(const std::vector<size_t>& reductions) const {
  std::vector<Total> found;
  for (size_t j : reductions)
    found.push_back({j, group_.members[j].nest.combiner, reduced_type(j), zero(j)});
  return found;
}

graph::DType RowValues::partial_dtype(size_t j) const {
  const ScalarKind kind = group_.members[j].nest.body->kind;
  return kind == ScalarKind::kInt        ? graph::DType::kI64
         : kind == ScalarKind::kBool     ? graph::DType::kBool
         : reduced_real(j) == Real::kF64 ? graph::DType::kF64
                                         : graph::DType::kF32;
}

}  // namespace kernelwright::expert::cuda

// SPDX-License-Identifier: Apache-2.0
#include "expert/family.h"

namespace kernelwright::expert {

double OpContext::bytes() const {
  double total = 0;
  for (int tensor : op.inputs) total += static_cast<double>(type(tensor).bytes());
  for (int tensor : op.outputs) total += static_cast<double>(type(tensor).bytes());
  return total;
}

const rewrite::Nest& OpContext::nest() const {
  if (!nest_) nest_ = rewrite::make_nest(op.stages.front(), graph.tensors);
  return *nest_;
}

const std::optional<rewrite::Contraction>& OpContext::contraction() const {
  if (!contraction_) {
    contraction_.emplace();
    if (op.stages.size() == 1)
      *contraction_ = rewrite::match_contraction(op.stages.front(), graph.tensors);
  }
  return *contraction_;
}

const std::optional<rewrite::RowGroup>& OpContext::row_group() const {
  if (row_group_) return *row_group_;
  row_group_.emplace();
  // The first reduction starts the group; what stands before it makes values along the row.
  size_t first = 0;
  while (first < op.stages.size() && op.stages[first].combiner == graph::Combiner::kNone) ++first;
  if (first == op.stages.size()) return *row_group_;
  auto group = rewrite::start_row_group(op.stages[first], graph.tensors);
  for (size_t i = first + 1; i < op.stages.size() && group; ++i) {
    if (!rewrite::join_row_group(*group, op.stages[i], graph.tensors)) group.reset();
  }
  for (size_t i = first; i-- > 0 && group;) {
    if (!rewrite::join_row_producer(*group, op.stages[i], graph.tensors)) group.reset();
  }
  if (group) rewrite::merge_row_group(*group);
  *row_group_ = std::move(group);
  return *row_group_;
}

const std::optional<rewrite::Attention>& OpContext::attention() const {
  if (!attention_) {
    attention_.emplace();
    if (op.anchor == rewrite::Anchor::kAttention)
      *attention_ = rewrite::match_attention(op.stages, op.stages.size() - 1, graph.tensors);
  }
  return *attention_;
}

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#include "graph/op_table.h"

#include <unordered_map>

#include "base/check.h"
#include "graph/op_support.h"

namespace kernelwright::graph {
namespace {

struct Table {
  OpList ops;
  std::unordered_map<std::string_view, const OpEntry*> by_name;

  Table() {
    add_pointwise_ops(ops);
    add_constant_ops(ops);
    add_move_ops(ops);
    add_join_ops(ops);
    add_reduction_ops(ops);
    add_softmax_ops(ops);
    add_contraction_ops(ops);
    add_convolution_ops(ops);
    add_normalization_ops(ops);
    add_pooling_ops(ops);
    add_attention_ops(ops);
    add_index_ops(ops);
    add_loss_ops(ops);
    add_sort_ops(ops);
    add_scatter_ops(ops);
    add_scan_ops(ops);
    add_recurrence_ops(ops);
    for (const auto& op : ops)
      KW_INVARIANT(by_name.emplace(op.name, &op).second, "op listed twice: " + op.name);
  }
};

const Table& table() {
  static const Table instance;
  return instance;
}

}  // namespace

const OpEntry* find_op(std::string_view name) {
  auto found = table().by_name.find(name);
  return found == table().by_name.end() ? nullptr : found->second;
}

const std::vector<OpEntry>& op_table() {
  return table().ops;
}

}  // namespace kernelwright::graph

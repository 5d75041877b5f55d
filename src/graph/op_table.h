// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/stage.h"

namespace kernelwright::graph {

enum class OpClass : uint8_t {
  kPointwise,
  kReduction,
  kContraction,
  kNormalization,
  kPooling,
  kScan,
  kAttention,
  kRecurrence,
  kMove,
};

// Given to an entry while a node is lowered. Operands are tensors of the stage graph under
// construction.
class Lowering {
 public:
  virtual ~Lowering() = default;
  virtual const Node& node() const = 0;
  // Stage-graph tensor of a value argument; -1 when the argument is None.
  virtual int operand(const std::string& name) = 0;
  virtual std::vector<int> operand_list(const std::string& name) = 0;
  virtual const TensorType& type(int tensor) const = 0;
  virtual const TensorType& output_type(int index = 0) const = 0;
  // Defines output `index` of the node.
  virtual void define(int index, Stage stage) = 0;
  // Defines an intermediate tensor and returns it.
  virtual int define_temporary(TensorType type, Stage stage) = 0;
  // An intermediate tensor of a loop, which earlier stages of the loop may load; to be defined.
  virtual int declare_temporary(TensorType type) = 0;
  virtual void define_declared(int tensor, Stage stage) = 0;
  // A value of Stage::loop that no other stage has.
  virtual int new_loop() = 0;
  // A load of `tensor` at the axes of a tensor of `rank` dimensions, broadcast by PyTorch's rule.
  virtual Expr broadcast_load(int tensor, const Shape& output_shape) = 0;
};

// What the project knows of one op. Shape rule: given the node with typed operands, the types of
// its outputs, checked against what the exporter recorded. FLOP count: arithmetic of the definition
// unless `flops` says otherwise (a multiply-add is 2, a transcendental 1). Bytes: operands and
// outputs once.
struct OpEntry {
  std::string name;  // "aten.relu.default"
  OpClass op_class;
  std::function<Result<std::vector<TensorType>>(const Graph&, const Node&)> infer;
  std::function<Status(Lowering&)> define;
  std::function<double(const Graph&, const Node&)> flops;  // may be empty
};

// nullptr when the op is unknown.
const OpEntry* find_op(std::string_view name);
const std::vector<OpEntry>& op_table();

}  // namespace kernelwright::graph

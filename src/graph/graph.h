// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "graph/tensor_type.h"

namespace kernelwright::graph {

// A reference to a value of the graph (index into Graph::values).
struct ValueRef {
  int id = -1;
  auto operator<=>(const ValueRef&) const = default;
};

// One argument of a node. Immediates keep their kind; a list holds immediates or value references.
struct Argument {
  struct None {
    bool operator==(const None&) const = default;
  };
  using List = std::vector<Argument>;
  std::variant<None, bool, int64_t, double, std::string, DType, ValueRef, List> data;

  bool is_none() const { return std::holds_alternative<None>(data); }
  bool is_value() const { return std::holds_alternative<ValueRef>(data); }
};

enum class ValueRole { kInput, kWeight, kIntermediate };

struct Value {
  std::string name;
  TensorType type;
  ValueRole role = ValueRole::kIntermediate;
  int producer = -1;        // node index, -1 for inputs and weights
  std::string weight_name;  // state_dict name (or constant name) when role is kWeight
  std::string weight_kind;  // "parameter", "buffer", "constant" when role is kWeight
};

// A call of an exported op. Arguments are named after the op's schema, so that
// aten.add.Tensor has "self", "other", "alpha". Absent arguments hold the schema's default.
struct Node {
  std::string name;
  std::string op;  // "aten.relu.default"
  std::map<std::string, Argument> args;
  std::vector<int> outputs;  // value ids; -1: an output that nothing reads
  std::string module_path;   // "encoder.layers.0", for messages
  int part = -1;             // index into Graph::parts; -1 when the graph is the whole module

  const Argument& arg(const std::string& name) const;  // None when absent
  std::optional<int> value_arg(const std::string& name) const;
  int64_t int_arg(const std::string& name, int64_t fallback) const;
  double float_arg(const std::string& name, double fallback) const;  // accepts int and bool
  bool bool_arg(const std::string& name, bool fallback) const;
  std::vector<int64_t> int_list_arg(
      const std::string& name) const;  // empty when absent; an int counts as a list of one
  std::vector<int> value_list_arg(const std::string& name) const;
};

// Buffer that forward mutates: after the call, weight `name` holds `value`.
struct Mutation {
  std::string weight_name;
  int value = -1;
};

// What the module hands back, flattened: a value, or a constant printed as JSON.
struct Output {
  int value = -1;  // -1: constant
  std::string constant_json;
};

// Part of a workload that the exporter had to leave out, and why.
struct EagerNote {
  std::string what;    // op or module path
  std::string reason;  // one line
};

// A submodule that was exported on its own because the whole module could not be. Regions never
// cross parts.
struct Part {
  std::string module_path;  // "encoder.layers.0"
  std::vector<int> inputs;
  std::vector<Output> outputs;
};

struct Graph {
  std::string workload;
  std::string class_name;
  bool training = false;
  std::string torch_version;
  std::map<std::string, int64_t>
      drawn;  // constants of the workload that were drawn (docs/import.md)
  std::vector<Value> values;
  std::vector<Node> nodes;  // topological order
  std::vector<int> inputs;
  std::vector<int> weights;
  std::vector<Output> outputs;
  std::vector<Mutation> mutations;
  std::vector<EagerNote> eager_notes;
  bool whole =
      true;  // false: only `parts` of the module are here (maybe none), and no region is whole
  std::vector<Part> parts;

  const Value& value(int id) const { return values.at(static_cast<size_t>(id)); }
  std::optional<int> find_value(const std::string& name) const;
};

// All values that a node reads, in argument order, with repeats.
std::vector<int> node_operands(const Node& node);

// "y f32[2,3] = relu(self=x)  # encoder.act", for people: arguments that are None left out.
std::string node_text(const Graph& graph, const Node& node);

// A subgraph that is optimized as one unit, closed under paths between its nodes. A region of all
// nodes has `whole` set. Values are ids in the graph.
struct Region {
  std::string id;  // "r0"
  bool whole = false;
  std::vector<int> nodes;   // in graph order
  std::vector<int> inputs;  // graph inputs and intermediates made outside
  std::vector<int> weights;
  std::vector<int> outputs;  // values read outside, or handed back
  std::vector<Mutation> mutations;
};

}  // namespace kernelwright::graph

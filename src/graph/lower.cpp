// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "graph/loop.h"
#include "graph/op_support.h"
#include "graph/stage.h"

namespace kernelwright::graph {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 40;

TensorType contiguous_type(TensorType type) {
  type.strides.clear();
  return type;
}

class RegionLowering final : public Lowering {
 public:
  RegionLowering(const Graph& graph, const Region& region) : graph_(graph), region_(region) {}

  Result<StageGraph> run() {
    add_boundary();
    for (int id : region_.nodes) KW_CHECK_OK(lower_node(graph_.nodes.at(static_cast<size_t>(id))));
    KW_CHECK_OK(bind_outputs());
    KW_CHECK_OK(bind_states());
    drop_dead();
    KW_CHECK_OK(check_loops(out_.stages, out_.tensors));
    return std::move(out_);
  }

  const Node& node() const override { return *node_; }

  int operand(const std::string& name) override {
    auto id = node_->value_arg(name);
    return id ? tensor_of(*id) : -1;
  }

  std::vector<int> operand_list(const std::string& name) override {
    std::vector<int> tensors;
    for (int id : node_->value_list_arg(name)) tensors.push_back(tensor_of(id));
    return tensors;
  }

  const TensorType& type(int tensor) const override {
    return out_.tensors.at(static_cast<size_t>(tensor)).type;
  }
  const TensorType& output_type(int index) const override {
    return types_.at(static_cast<size_t>(index));
  }

  void define(int index, Stage stage) override {
    const size_t i = static_cast<size_t>(index);
    const int value = i < node_->outputs.size() ? node_->outputs[i] : -1;
    if (value < 0) return;
    StageTensor tensor{graph_.value(value).name, types_.at(i), TensorRole::kTemporary, -1, ""};
    tensors_[value] = append(std::move(tensor), std::move(stage));
  }

  int define_temporary(TensorType type, Stage stage) override {
    StageTensor tensor{fmt::format("{}.{}", node_->name, temporaries_++),
                       contiguous_type(std::move(type)), TensorRole::kTemporary, -1, ""};
    return append(std::move(tensor), std::move(stage));
  }

  int declare_temporary(TensorType type) override {
    return out_.add_tensor({fmt::format("{}.{}", node_->name, temporaries_++),
                            contiguous_type(std::move(type)), TensorRole::kTemporary, -1, ""});
  }
  void define_declared(int tensor, Stage stage) override {
    stage.output = tensor;
    append(std::move(stage));
  }
  int new_loop() override { return loops_++; }

  Expr broadcast_load(int tensor, const Shape& output_shape) override {
    const Shape& shape = type(tensor).shape;
    KW_INVARIANT(shape.size() <= output_shape.size(), "broadcast to a smaller rank");
    std::vector<Expr> index;
    const size_t skip = output_shape.size() - shape.size();
    for (size_t i = 0; i < shape.size(); ++i)
      index.push_back(shape[i] == 1 ? integer(0) : axis(static_cast<int>(skip + i)));
    return load_of(*this, tensor, std::move(index));
  }

 private:
  void add_boundary() {
    for (size_t i = 0; i < region_.inputs.size(); ++i) {
      const Value& value = graph_.value(region_.inputs[i]);
      tensors_[region_.inputs[i]] = out_.add_tensor(
          {value.name, contiguous_type(value.type), TensorRole::kInput, static_cast<int>(i), ""});
    }
    auto mutated = [&](const std::string& name) {
      return std::any_of(region_.mutations.begin(), region_.mutations.end(),
                         [&](const Mutation& m) { return m.weight_name == name; });
    };
    std::unordered_set<int> weights(region_.weights.begin(), region_.weights.end());
    std::vector<int> ordered = region_.weights;
    // A buffer that is only written is a state all the same.
    for (int id : graph_.weights)
      if (!weights.contains(id) && mutated(graph_.value(id).weight_name)) ordered.push_back(id);
    for (int id : ordered) {
      const Value& value = graph_.value(id);
      const bool state = mutated(value.weight_name);
      tensors_[id] = out_.add_tensor({value.name, contiguous_type(value.type),
                                      state ? TensorRole::kState : TensorRole::kWeight, -1,
                                      value.weight_name});
    }
  }

  int tensor_of(int value) const {
    auto found = tensors_.find(value);
    KW_INVARIANT(found != tensors_.end(),
                 "value made outside the region: " + graph_.value(value).name);
    return found->second;
  }

  Status lower_node(const Node& node) {
    const OpEntry* entry = find_op(node.op);
    if (!entry) return op_error(node, "op outside the table: " + node.op);
    for (int id : node_operands(node))
      if (!tensors_.contains(id))
        return op_error(
            node, fmt::format("reads \"{}\", which is outside the region", graph_.value(id).name));
    node_ = &node;
    temporaries_ = 0;
    // Entries rely on what PyTorch guarantees; arguments that it could not have exported end here.
    try {
      KW_TRY(types_, entry->infer(graph_, node));
      KW_CHECK_OK(check_types(node));
      KW_CHECK_OK(entry->define(*this));
    } catch (const std::logic_error&) {
      return op_error(node, "arguments do not fit the op");
    }
    for (int id : node.outputs)
      if (id >= 0 && !tensors_.contains(id))
        return op_error(node, fmt::format("output \"{}\" is not supported", graph_.value(id).name));
    return {};
  }

  Status check_types(const Node& node) {
    for (auto& type : types_) {
      int64_t count = 1;
      for (int64_t extent : type.shape) {
        if (extent < 0 || (extent > 0 && count > kMostElements / extent))
          return op_error(node, "result too large: " + shape_text(type.shape));
        count *= extent;
      }
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] < 0) continue;
      if (i >= types_.size()) return op_error(node, fmt::format("has no output {}", i));
      const TensorType recorded = contiguous_type(graph_.value(node.outputs[i]).type);
      if (types_[i] != recorded)
        return op_error(node, fmt::format("output {} should be {} but the graph says {}", i,
                                          types_[i].text(), recorded.text()));
    }
    return {};
  }

  int append(StageTensor tensor, Stage stage) {
    stage.output = out_.add_tensor(std::move(tensor));
    return append(std::move(stage));
  }

  int append(Stage stage) {
    const DType dtype = type(stage.output).dtype;
    const ScalarKind wanted = scalar_kind(dtype);
    stage.origin = node_ ? node_->name : stage.origin;
    const std::vector<int64_t> extents = axis_extents(out_, stage);
    auto check_load = [&](const ExprNode& e) {
      KW_INVARIANT(e.op != ExprOp::kLoad || e.operands.size() == type(e.tensor).shape.size(),
                   "a load's rank differs");
    };
    visit(stage.body, check_load);
    if (stage.finish) visit(stage.finish, check_load);
    stage.body = simplify_index(stage.body, extents);
    if (stage.finish) stage.finish = simplify_index(stage.finish, extents);
    if (stage.combiner == Combiner::kAny || stage.combiner == Combiner::kAll)
      stage.body = cast(DType::kBool, stage.body);
    if (stage.finish) {
      if (stage.finish->kind != wanted) stage.finish = cast(dtype, stage.finish);
    } else if (stage.combiner == Combiner::kArgMax || stage.combiner == Combiner::kArgMin) {
      if (wanted != ScalarKind::kInt) stage.finish = cast(dtype, reduced(ScalarKind::kInt));
    } else if (stage.body->kind != wanted) {
      stage.body = cast(dtype, stage.body);
    }
    const int output = stage.output;
    out_.stages.push_back(std::move(stage));
    return output;
  }

  Stage copy_of(int tensor, const std::string& origin) {
    Stage stage = plain_stage(broadcast_load(tensor, type(tensor).shape));
    stage.origin = origin;
    return stage;
  }

  Status bind_outputs() {
    node_ = nullptr;
    for (size_t i = 0; i < region_.outputs.size(); ++i) {
      auto found = tensors_.find(region_.outputs[i]);
      if (found == tensors_.end())
        return fail(ErrorKind::kInternal,
                    "region output made outside it: " + graph_.value(region_.outputs[i]).name);
      StageTensor& tensor = out_.tensors[static_cast<size_t>(found->second)];
      if (tensor.role == TensorRole::kTemporary) {
        tensor.role = TensorRole::kOutput;
        tensor.index = static_cast<int>(i);
        continue;
      }
      // An input, a weight, or a value handed back twice: a copy.
      append({tensor.name + ".out", tensor.type, TensorRole::kOutput, static_cast<int>(i), ""},
             copy_of(found->second, tensor.name));
    }
    return {};
  }

  Status bind_states() {
    for (const auto& mutation : region_.mutations) {
      auto found = tensors_.find(mutation.value);
      if (found == tensors_.end())
        return fail(ErrorKind::kInternal,
                    "new value of a buffer is made outside the region: " + mutation.weight_name);
      for (size_t t = 0; t < out_.tensors.size(); ++t) {
        if (out_.tensors[t].role != TensorRole::kState ||
            out_.tensors[t].weight_name != mutation.weight_name)
          continue;
        if (static_cast<int>(t) == found->second) break;
        if (type(found->second) != out_.tensors[t].type)
          return fail(ErrorKind::kInput,
                      fmt::format("buffer {} changes its type in forward", mutation.weight_name));
        Stage stage = copy_of(found->second, mutation.weight_name);
        stage.output = static_cast<int>(t);
        out_.stages.push_back(std::move(stage));
        break;
      }
    }
    return {};
  }

  // Drops stages that reach neither an output nor a state, and the temporaries that nothing
  // mentions.
  void drop_dead() {
    const std::vector<bool> live = live_tensors(out_.stages, out_.tensors);
    std::vector<Stage> kept;
    for (Stage& stage : out_.stages)
      if (live[static_cast<size_t>(stage.output)]) kept.push_back(std::move(stage));
    std::vector<int> renamed(live.size(), -1);
    StageGraph compact;
    for (size_t t = 0; t < live.size(); ++t)
      if (live[t]) renamed[t] = compact.add_tensor(std::move(out_.tensors[t]));
    auto rename = [&](const ExprNode& e) {
      return load(renamed[static_cast<size_t>(e.tensor)], e.kind, e.operands);
    };
    for (auto& stage : kept) {
      stage.output = renamed[static_cast<size_t>(stage.output)];
      stage.body = rewrite_loads(stage.body, rename);
      if (stage.finish) stage.finish = rewrite_loads(stage.finish, rename);
      compact.stages.push_back(std::move(stage));
    }
    out_ = std::move(compact);
  }

  const Graph& graph_;
  const Region& region_;
  StageGraph out_;
  std::unordered_map<int, int> tensors_;  // value -> tensor
  const Node* node_ = nullptr;
  std::vector<TensorType> types_;
  int temporaries_ = 0, loops_ = 0;
};

}  // namespace

Result<StageGraph> lower(const Graph& graph, const Region& region) {
  return RegionLowering(graph, region).run();
}

}  // namespace kernelwright::graph

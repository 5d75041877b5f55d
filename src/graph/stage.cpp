// SPDX-License-Identifier: Apache-2.0
#include "graph/stage.h"

#include <fmt/format.h>

namespace kernelwright::graph {
namespace {

const char* combiner_name(Combiner combiner) {
  switch (combiner) {
    case Combiner::kNone:
      return "";
    case Combiner::kSum:
      return "sum";
    case Combiner::kProd:
      return "prod";
    case Combiner::kMax:
      return "max";
    case Combiner::kMin:
      return "min";
    case Combiner::kAny:
      return "any";
    case Combiner::kAll:
      return "all";
    case Combiner::kArgMax:
      return "argmax";
    case Combiner::kArgMin:
      return "argmin";
  }
  return "?";
}

const char* role_text(TensorRole role) {
  switch (role) {
    case TensorRole::kInput:
      return "input";
    case TensorRole::kWeight:
      return "weight";
    case TensorRole::kOutput:
      return "output";
    case TensorRole::kState:
      return "state";
    case TensorRole::kTemporary:
      return "temporary";
  }
  return "?";
}

}  // namespace

int StageGraph::add_tensor(StageTensor tensor) {
  tensors.push_back(std::move(tensor));
  return static_cast<int>(tensors.size()) - 1;
}

std::string StageGraph::text() const {
  std::string out;
  for (size_t i = 0; i < tensors.size(); ++i)
    out += fmt::format("t{}: {} {} {}\n", i, role_text(tensors[i].role), tensors[i].type.text(),
                       tensors[i].name);
  for (const auto& stage : stages) {
    std::string value = graph::text(stage.body);
    if (stage.combiner != Combiner::kNone)
      value =
          fmt::format("{}{}({})", combiner_name(stage.combiner), shape_text(stage.reduce), value);
    if (stage.finish) value += fmt::format(", then {}", graph::text(stage.finish));
    const std::string loop = stage.loop < 0 ? "" : fmt::format("loop {}: ", stage.loop);
    out += fmt::format("{}t{} = {}  # {}\n", loop, stage.output, value, stage.origin);
  }
  return out;
}

std::vector<int64_t> axis_extents(const StageGraph& graph, const Stage& stage) {
  std::vector<int64_t> extents = graph.tensors.at(static_cast<size_t>(stage.output)).type.shape;
  extents.insert(extents.end(), stage.reduce.begin(), stage.reduce.end());
  return extents;
}

}  // namespace kernelwright::graph

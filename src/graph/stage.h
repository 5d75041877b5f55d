// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "graph/expr.h"
#include "graph/graph.h"

namespace kernelwright::graph {

enum class Combiner : uint8_t { kNone, kSum, kProd, kMax, kMin, kAny, kAll, kArgMax, kArgMin };

// One tensor, defined element by element. For every point of the output shape:
//   acc = combine over all points of the reduction axes of `body`
//   out = finish(acc), or acc itself without `finish`
// Output axes are axis(0) .. axis(rank-1); reduction axes follow. kArgMax and kArgMin give the
// row-major position within the reduction axes, the first of equals (NaN counts as the largest, as
// in PyTorch).
struct Stage {
  int output = -1;  // index into StageGraph::tensors; its type gives shape and stored dtype
  std::vector<int64_t> reduce;
  Combiner combiner = Combiner::kNone;
  Expr body;
  Expr finish;         // may read reduced() and the output axes; null: none
  std::string origin;  // node name, for messages and reports
  int loop = -1;       // the loop over steps that it belongs to (graph/loop.h); -1: none
};

enum class TensorRole : uint8_t { kInput, kWeight, kOutput, kState, kTemporary };

struct StageTensor {
  std::string name;
  TensorType type;  // contiguous; strided inputs are copied before the call
  TensorRole role = TensorRole::kTemporary;
  int index = -1;           // position among the region's inputs or outputs
  std::string weight_name;  // kWeight and kState
};

// A region spelled out as tensor definitions in topological order. A state tensor holds the buffer
// before the call until the stage that defines it, which stands after every other stage that reads
// it. The kind of a stage's value (`finish`, else `body`) is that of its tensor's dtype. What the
// naive loop nest, the interpreter, fusion and all families work on.
struct StageGraph {
  std::vector<StageTensor> tensors;
  std::vector<Stage> stages;

  int add_tensor(StageTensor tensor);
  std::string text() const;
};

// Lowers a region by the op table. kInput naming the op when one is unsupported.
Result<StageGraph> lower(const Graph& graph, const Region& region);

// Every axis extent of a stage: output shape, then reduction extents.
std::vector<int64_t> axis_extents(const StageGraph& graph, const Stage& stage);

}  // namespace kernelwright::graph

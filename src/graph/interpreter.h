// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/stage.h"

namespace kernelwright::graph {

// A tensor of the interpreter: elements as double (exact for all our types but i64 beyond 2^53), in
// row-major order of the shape.
struct HostTensor {
  TensorType type;
  std::vector<double> data;
};

// Evaluates a stage graph point by point, each stage's result rounded to its dtype when
// `round_to_dtype`. Slow and plain on purpose: it is what everything else is tested against.
// `bindings`: by tensor index, every input, weight and state. Returns all tensors.
Result<std::vector<HostTensor>> interpret(const StageGraph& graph,
                                          std::map<int, HostTensor> bindings,
                                          bool round_to_dtype = true);

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "graph/interpreter.h"
#include "graph/stage.h"

namespace kernelwright::testing {

// A stage graph of one op after another, from a text of lines, each an op on the result so far:
//   input 2x3x8x8        (the first line)
//   linear 5             with bias, over the last dimension
//   matmul 5             without bias
//   conv 4 3 [pad]       channels, kernel; with bias
//   norm                 eval-mode batch norm over dimension 1
//   scale | shift        by a weight over dimension 1
//   times C | plus C     constants
//   sum D | mean D | max D | min D      over dimension D, kept as 1
//   mean_rest            over all dimensions from 2 on, kept as 1
//   avg_pool K S | max_pool K S         over all dimensions from 2 on
//   clamp A B | relu | neg | exp | copy
//   twice                x + x through two stages that say the same
// f64 throughout unless `dtype` says otherwise. The last result is the output.
graph::StageGraph chain(const std::string& text, graph::DType dtype = graph::DType::kF64);

// Random data for inputs and weights; a weight named "variance" is positive.
std::map<int, graph::HostTensor> random_data(const graph::StageGraph& graph, uint64_t seed);

// Largest difference of the outputs of two graphs that have the same inputs and weights, relative
// to 1 + |value|; NaN equals NaN. Infinity when one of them does not run.
double difference(const graph::StageGraph& a, const graph::StageGraph& b,
                  const std::map<int, graph::HostTensor>& data);

}  // namespace kernelwright::testing

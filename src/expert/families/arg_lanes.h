// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "graph/stage.h"

namespace kernelwright::expert {

// Arg-reductions on the CPU, many at a time: lane l holds the best value so far in acc<j>[l] and
// its place along the row in place<j>[l]. NaN is better than any number; of equals the first
// counts. Lanes begin with the combiner's identity at place 0, which is right too when nothing is
// better.

// A statement that offers lane l a value at a place after all that it has seen.
std::string offer_to_lane(graph::Combiner combiner, size_t j, const std::string& value,
                          const std::string& place);
// A statement that offers lane l what lane l + h holds.
std::string offer_lane(graph::Combiner combiner, size_t j);

}  // namespace kernelwright::expert

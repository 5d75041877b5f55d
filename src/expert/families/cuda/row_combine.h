// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "graph/stage.h"

namespace kernelwright::expert::cuda {

// One reduction of a row kernel: variable total<number> of every thread, with the position
// at<number> for an arg-reduction.
struct Total {
  size_t number = 0;
  graph::Combiner combiner = graph::Combiner::kSum;
  std::string type;      // of the total
  std::string identity;  // its value over nothing
};

// How the threads of a block stand; `index` is the type of positions.
struct Lanes {
  bool columns = false;
  int64_t threads = 32, across = 1;
  std::string index = "int";
};

std::string combined(const Total& total, const std::string& a, const std::string& b);
// The totals of a row's threads combined, the same in all of them.
std::string combine_lanes(const std::vector<Total>& totals, const Lanes& lanes);
// The totals of a cluster's blocks combined, in the order of the blocks and so the same in all.
// Takes shared memory from `shared_bytes` on, which it moves.
std::string combine_cluster(const std::vector<Total>& totals, int64_t cluster,
                            int64_t& shared_bytes);
// total<number> = element of `values` that stands for each of `count` parts, combined over the
// threads of a row; `at` is the element of part s.
std::string combine_parts(const Total& total, const std::string& values, const std::string& at,
                          int64_t count, int64_t threads);

}  // namespace kernelwright::expert::cuda

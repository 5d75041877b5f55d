// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "expert/dialects/kernel_arguments.h"

namespace kernelwright::expert::cuda {

// One CUDA kernel under construction. Buffers are its parameters, in order.
class KernelText : public KernelArguments {
 public:
  using KernelArguments::KernelArguments;
  std::string body;  // uses the pointers, blockIdx and threadIdx
  // Launch shape. The block is one-dimensional.
  int block = 256;
  int resident = 1;          // blocks that a multiprocessor should hold; bounds the registers
  int64_t shared_bytes = 0;  // dynamic; the body finds it at kw_dynamic_shared()
  int64_t cluster = 1;       // blocks along y that form a cluster
  // Adds the source and a launch of so many blocks (x, y, z).
  void launch(const std::vector<int64_t>& grid);
};

// "const int point = ..." (or int64_t): the flat number of a thread in a one-dimensional grid.
std::string thread_number(const std::string& variable, const std::string& type, int block,
                          int indent);

}  // namespace kernelwright::expert::cuda

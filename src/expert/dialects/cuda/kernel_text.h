// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
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
  int resident = 1;           // blocks that a multiprocessor should hold; bounds the registers
  int64_t shared_bytes = 0;   // dynamic; the body finds it at kw_dynamic_shared()
  bool in_prepare = false;    // launched when weights change; writes packed buffers
  int64_t cluster = 1;        // blocks along y that form a cluster
  bool step_counter = false;  // inside a repeat: its iteration, as `kw_step`
  bool cooperative = false;   // all blocks run at the same time; brings the headers of barriers
  // A `sync` buffer through which blocks of one launch talk to one another.
  std::string exchange_buffer(const std::string& buffer);
  // Adds the source and a launch of so many blocks (x, y, z).
  void launch(const std::vector<int64_t>& grid);

 private:
  std::set<std::string> exchanged_;
};

// "const int point = ..." (or int64_t): the flat number of a thread in a one-dimensional grid.
std::string thread_number(const std::string& variable, const std::string& type, int block,
                          int indent);

}  // namespace kernelwright::expert::cuda

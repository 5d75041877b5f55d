// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "referee/space.h"

namespace kernelwright::referee {

// Tensors in the memory of one NVIDIA GPU. The coordinator makes it (cuMemCreate), keeps a context
// of its own on the device and walks over results there with kernels of its own; other processes
// map it through descriptors. `target`: "cuda", "cuda:1".
Result<std::unique_ptr<Space>> open_cuda_space(const std::string& target);

// The device number of a target.
Result<int> cuda_ordinal(const std::string& target);

// How many draws of a region a GPU can hold at a time, at least 1: beside the outputs of two
// programs, the working memory of the oracle, flush buffer and contexts.
struct MemoryPlan {
  uint64_t draw_bytes = 0;    // inputs, states, eager, delta, scale
  uint64_t weight_bytes = 0;  // of a draw that has weights of its own
  uint64_t output_bytes = 0;  // of one program
  uint64_t oracle_bytes = 0;  // what making a draw takes beside it
  int most_draws(uint64_t device_bytes, int wanted) const;
};
MemoryPlan plan_memory(const program::Interface& interface);

}  // namespace kernelwright::referee

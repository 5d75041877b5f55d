// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kernelwright::target {

// What a compiler made of one kernel of a device program.
struct KernelResources {
  std::string kernel;
  int registers = 0;                                    // per thread
  int64_t shared_bytes = 0;                             // static, per block
  int64_t stack_bytes = 0;                              // per thread
  int64_t spill_store_bytes = 0, spill_load_bytes = 0;  // per thread, as the code stands
};

// One line per kernel: "k: 94 registers, 0 bytes spilled, 4096 bytes shared, 16 bytes of stack".
std::string resources_text(const std::vector<KernelResources>& kernels);
// As JSON, and back; an unreadable text gives nothing.
std::string resources_json(const std::vector<KernelResources>& kernels);
std::vector<KernelResources> parse_resources(const std::string& json);

}  // namespace kernelwright::target

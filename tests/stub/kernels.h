// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "target/cuda/runtime/driver_types.h"

namespace kernelwright::stub {

// A kernel that the host carries out: its parameters' sizes, and what it does to them.
struct StubKernel {
  const char* name;
  std::vector<size_t> params;
  void (*body)(const std::vector<const void*>& params);
};

// nullptr: no kernel of that name.
const StubKernel* find_kernel(const std::string& name);

inline const StubKernel* as_kernel(cuda::Function function) {
  return reinterpret_cast<const StubKernel*>(function);
}

// A launch with its arguments copied.
std::function<void()> bound(cuda::Function function, void** params);

}  // namespace kernelwright::stub

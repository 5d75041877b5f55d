// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

// The referee's own kernels (src/referee/cuda/judge.cu) for the stub driver: one block, one thread,
// fp32 answers alone.
namespace kernelwright::stub {

// Places of the arguments of a launch.
using Params = std::vector<const void*>;

template <class T>
T get(const Params& params, size_t i) {
  T value;
  std::memcpy(&value, params[i], sizeof(T));
  return value;
}

void measure(const Params& params);
void find(const Params& params);
void element(const Params& params);
void hash(const Params& params);
void bands(const Params& params);

}  // namespace kernelwright::stub

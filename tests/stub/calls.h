// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "target/cuda/runtime/driver_types.h"

#define STUB extern "C" __attribute__((visibility("default")))
// Notes the call of the function that this stands in; leaves it where a test wants it to fail.
#define RETURN_IF_FAILING(...)                                           \
  if (kernelwright::cuda::Code code =                                    \
          kernelwright::stub::call(__func__ __VA_OPT__(, ) __VA_ARGS__); \
      code != kernelwright::cuda::kSuccess)                              \
  return code

namespace kernelwright::stub {

// What was called, and what a test wants to fail.
struct Calls {
  std::recursive_mutex mutex;
  std::string log;
  std::map<std::string, size_t> counts;
  std::map<std::string, std::pair<int, int>> failures;  // code, calls left before it
  std::string tensor_map;
};
Calls& calls();

// Notes a call; gives the code that a test wants it to fail with.
cuda::Code note(const char* name, const std::string& text);

inline cuda::Code call(const char* name) {
  return note(name, "");
}
template <class... A>
cuda::Code call(const char* name, fmt::format_string<A...> format, A&&... args) {
  return note(name, fmt::format(format, std::forward<A>(args)...));
}

// Memory of this device is the host's.
inline void* at(cuda::Ptr address) {
  return reinterpret_cast<void*>(address);
}

}  // namespace kernelwright::stub

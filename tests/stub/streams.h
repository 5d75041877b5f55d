// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>

#include "target/cuda/runtime/driver_types.h"

namespace kernelwright::stub {

// Carries a step out, or records it where the stream is being captured.
void issue(cuda::Stream stream, cuda::GraphNodeType type, std::function<void()> body,
           unsigned attributes = 0);

template <class T>
std::function<void()> filled(cuda::Ptr to, T value, size_t count) {
  return [=] { std::fill_n(reinterpret_cast<T*>(to), count, value); };
}
inline std::function<void()> copied(void* to, const void* from, size_t bytes) {
  return [=] { std::memcpy(to, from, bytes); };
}

}  // namespace kernelwright::stub

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace kernelwright::runtime {

// Zeroed memory of its own mapping, page-aligned, with an unmapped page before and behind it so
// that a kernel that runs off its end is stopped. Large arenas ask for huge pages.
class Arena {
 public:
  static Result<Arena> create(int64_t bytes);
  Arena() = default;
  Arena(Arena&& other) noexcept { *this = static_cast<Arena&&>(other); }
  Arena& operator=(Arena&& other) noexcept;
  Arena(const Arena&) = delete;
  ~Arena();

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  void* mapping_ = nullptr;
  size_t mapped_ = 0;
};

}  // namespace kernelwright::runtime

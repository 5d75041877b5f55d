// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "target/cuda/runtime/driver.h"

namespace kernelwright::cuda {

// Device memory of one allocation in the current context, freed with it. Empty for 0 bytes.
class DeviceMemory {
 public:
  static Result<DeviceMemory> create(const Driver& driver, int64_t bytes) {
    DeviceMemory memory;
    memory.driver_ = &driver;
    if (bytes > 0) KW_CHECK_OK(driver.mem_alloc(&memory.data_, static_cast<size_t>(bytes)));
    memory.bytes_ = bytes;
    return memory;
  }
  DeviceMemory() = default;
  DeviceMemory(DeviceMemory&& other) noexcept { *this = static_cast<DeviceMemory&&>(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(driver_, other.driver_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  DeviceMemory(const DeviceMemory&) = delete;
  ~DeviceMemory() { release(); }

  void release() {
    if (data_) (void)driver_->mem_free.raw(data_);
    data_ = 0;
    bytes_ = 0;
  }
  Ptr data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  const Driver* driver_ = nullptr;
  Ptr data_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace kernelwright::cuda

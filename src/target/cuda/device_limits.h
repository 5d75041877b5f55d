// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace kernelwright::target {

// What a CUDA device is and may at most, as the driver says. No context is made for it.
struct CudaDevice {
  int ordinal = 0;
  std::string name;
  std::string uuid;  // 32 hex digits
  int major = 0, minor = 0;
  int driver_version = 0;  // 13000
  int multiprocessors = 0;
  int threads_per_block = 1024, threads_per_sm = 2048, blocks_per_sm = 32;
  int64_t grid[3] = {2147483647, 65535, 65535};
  int64_t block[3] = {1024, 1024, 64};
  int64_t registers_per_block = 65536, registers_per_sm = 65536;
  int64_t shared_per_block = 48 << 10;  // at most, after opting in
  int64_t shared_per_sm = 0;
  int64_t shared_reserved = 0;  // of each block's share, kept by the system
  int64_t l2_bytes = 0, memory_bytes = 0;
  int64_t constant_bytes = 64 << 10;
  int clock_khz = 0, memory_clock_khz = 0, memory_bus_bits = 0;
  bool cooperative = false, cluster = false;

  int number() const { return major * 10 + minor; }  // 90
};

// kEnvironment, one line, with what is missing: no driver, too old a driver, no device, no such
// device.
Result<CudaDevice> read_cuda_device(int ordinal);
Result<int> cuda_device_count();

}  // namespace kernelwright::target

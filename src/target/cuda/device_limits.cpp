// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/device_limits.h"

#include <fmt/core.h>

#include <array>

#include "target/cuda/runtime/driver.h"

namespace kernelwright::target {
namespace {

constexpr int kOldestDriver = 12000;

}  // namespace

Result<int> cuda_device_count() {
  KW_TRY(const cuda::Driver* driver, cuda::driver());
  if (driver->version < kOldestDriver)
    return fail(ErrorKind::kEnvironment,
                fmt::format("the NVIDIA driver is too old: it speaks CUDA {}.{}, 12.0 is needed",
                            driver->version / 1000, driver->version % 1000 / 10));
  KW_CHECK_OK(cuda::initialized_driver());
  int count = 0;
  KW_CHECK_OK(driver->device_get_count(&count));
  return count;
}

Result<CudaDevice> read_cuda_device(int ordinal) {
  KW_TRY(const int count, cuda_device_count());
  if (count == 0) return fail(ErrorKind::kEnvironment, "the NVIDIA driver sees no device");
  if (ordinal < 0 || ordinal >= count)
    return fail(ErrorKind::kEnvironment,
                fmt::format("there is no device cuda:{}; the machine has {}", ordinal, count));
  KW_TRY(const cuda::Driver* driver, cuda::initialized_driver());
  cuda::Device handle = 0;
  KW_CHECK_OK(driver->device_get(&handle, ordinal));
  CudaDevice device;
  device.ordinal = ordinal;
  device.driver_version = driver->version;
  std::array<char, 256> name{};
  KW_CHECK_OK(driver->device_get_name(name.data(), static_cast<int>(name.size()) - 1, handle));
  device.name = name.data();
  cuda::Uuid uuid{};
  // Without one, name and size tell devices apart.
  (void)driver->device_get_uuid.raw(&uuid, handle);
  for (const auto byte : uuid.bytes)
    device.uuid += fmt::format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  size_t memory = 0;
  KW_CHECK_OK(driver->device_total_mem(&memory, handle));
  device.memory_bytes = static_cast<int64_t>(memory);

  Status status;
  const auto attribute = [&](cuda::DeviceAttribute which) -> int {
    int value = 0;
    if (auto read = driver->device_get_attribute(&value, which, handle); !read && status)
      status = fail(read.error().with("attribute", std::to_string(which)));
    return value;
  };
  device.major = attribute(cuda::kComputeCapabilityMajor);
  device.minor = attribute(cuda::kComputeCapabilityMinor);
  device.multiprocessors = attribute(cuda::kMultiprocessorCount);
  device.threads_per_block = attribute(cuda::kMaxThreadsPerBlock);
  device.threads_per_sm = attribute(cuda::kMaxThreadsPerMultiprocessor);
  device.blocks_per_sm = attribute(cuda::kMaxBlocksPerMultiprocessor);
  device.grid[0] = attribute(cuda::kMaxGridDimX);
  device.grid[1] = attribute(cuda::kMaxGridDimY);
  device.grid[2] = attribute(cuda::kMaxGridDimZ);
  device.block[0] = attribute(cuda::kMaxBlockDimX);
  device.block[1] = attribute(cuda::kMaxBlockDimY);
  device.block[2] = attribute(cuda::kMaxBlockDimZ);
  device.registers_per_block = attribute(cuda::kMaxRegistersPerBlock);
  device.registers_per_sm = attribute(cuda::kMaxRegistersPerMultiprocessor);
  device.shared_per_block = attribute(cuda::kMaxSharedMemoryPerBlockOptin);
  device.shared_per_sm = attribute(cuda::kMaxSharedMemoryPerMultiprocessor);
  device.shared_reserved = attribute(cuda::kReservedSharedMemoryPerBlock);
  device.l2_bytes = attribute(cuda::kL2CacheSize);
  device.constant_bytes = attribute(cuda::kTotalConstantMemory);
  device.clock_khz = attribute(cuda::kClockRate);
  device.memory_clock_khz = attribute(cuda::kMemoryClockRate);
  device.memory_bus_bits = attribute(cuda::kGlobalMemoryBusWidth);
  device.cooperative = attribute(cuda::kCooperativeLaunch) != 0;
  device.cluster = attribute(cuda::kClusterLaunch) != 0;
  if (!status) return fail(status.error());
  return device;
}

}  // namespace kernelwright::target

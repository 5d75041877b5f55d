// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "target/cuda/runtime/driver.h"

namespace kernelwright::cuda {

// What the runtime must know of a device.
struct DeviceInfo {
  Device ordinal = 0;
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  int shared_optin_bytes = 0;  // most shared memory of one block
  bool cooperative = false, cluster = false, tensor_map = false;

  int capability() const { return major * 10 + minor; }  // 90
};
Result<DeviceInfo> read_device(const Driver& driver, Device device);

// Whether the device has one of the words that a program's "requires" may hold: those of the table
// in device.cpp, cooperative, sm_NN (at least), sm_NNa (exactly).
bool has_feature(const DeviceInfo& device, const std::string& feature);
// kEnvironment, naming the first feature that is missing.
Status check_features(const DeviceInfo& device, const std::vector<std::string>& required);

}  // namespace kernelwright::cuda

// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/device.h"

#include <fmt/core.h>

namespace kernelwright::cuda {

Result<DeviceInfo> read_device(const Driver& driver, Device device) {
  DeviceInfo info;
  info.ordinal = device;
  char name[256] = {};
  KW_CHECK_OK(driver.device_get_name(name, sizeof(name) - 1, device));
  info.name = name;
  int cooperative = 0, cluster = 0, tensor_map = 0;
  struct Row {
    DeviceAttribute attribute;
    int* to;
  };
  const Row rows[] = {{kComputeCapabilityMajor, &info.major},
                      {kComputeCapabilityMinor, &info.minor},
                      {kMultiprocessorCount, &info.multiprocessors},
                      {kMaxSharedMemoryPerBlockOptin, &info.shared_optin_bytes},
                      {kCooperativeLaunch, &cooperative},
                      {kClusterLaunch, &cluster},
                      {kTensorMapAccess, &tensor_map}};
  for (const Row& row : rows)
    KW_CHECK_OK(driver.device_get_attribute(row.to, row.attribute, device));
  info.cooperative = cooperative != 0;
  info.cluster = cluster != 0;
  info.tensor_map = tensor_map != 0;
  return info;
}

bool has_feature(const DeviceInfo& device, const std::string& feature) {
  if (feature == "cooperative") return device.cooperative;
  if (feature == "cluster") return device.cluster;
  if (feature == "tma") return device.tensor_map;
  if (feature == "pdl") return device.major >= 9;
  if (feature == "wgmma") return device.major == 9;
  if (feature == "tcgen05") return device.major == 10;
  if (!feature.starts_with("sm_")) return false;
  std::string digits = feature.substr(3);
  bool exact = !digits.empty() && digits.back() == 'a';
  if (exact) digits.pop_back();
  if (digits.empty() || digits.size() > 3) return false;
  int wanted = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
    wanted = wanted * 10 + (c - '0');
  }
  return exact ? device.capability() == wanted : device.capability() >= wanted;
}

Status check_features(const DeviceInfo& device, const std::vector<std::string>& required) {
  for (const std::string& feature : required)
    if (!has_feature(device, feature))
      return fail(ErrorKind::kEnvironment,
                  fmt::format("{} (sm_{}) has no '{}', which the program requires", device.name,
                              device.capability(), feature));
  return {};
}

}  // namespace kernelwright::cuda

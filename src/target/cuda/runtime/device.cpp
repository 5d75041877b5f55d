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

namespace {

// Words for what a compute capability brings: from `low` on, up to `high` where that is given.
struct FeatureRow {
  const char* name;
  int low, high;
};
constexpr FeatureRow kFeatures[] = {{"mma_f16", 70, 0},  {"mma_i8", 72, 0},    {"ldmatrix", 75, 0},
                                    {"cp_async", 80, 0}, {"mma_bf16", 80, 0},  {"mma_tf32", 80, 0},
                                    {"mma_f64", 80, 0},  {"mma_fp8", 89, 0},   {"cluster", 90, 0},
                                    {"tma", 90, 0},      {"pdl", 90, 0},       {"mbarrier", 80, 0},
                                    {"wgmma", 90, 90},   {"tcgen05", 100, 110}};

}  // namespace

bool has_feature(const DeviceInfo& device, const std::string& feature) {
  if (feature == "cooperative") return device.cooperative;
  if (feature == "cluster" && !device.cluster) return false;
  if (feature == "tma" && !device.tensor_map) return false;
  for (const FeatureRow& row : kFeatures)
    if (feature == row.name)
      return device.capability() >= row.low && (row.high == 0 || device.capability() <= row.high);
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

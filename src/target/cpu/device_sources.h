// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace kernelwright::target {

// Our own texts that the toolchain puts beside a candidate's source: "kernelwright/kernel_abi.h",
// "kw_math.h" and the other files of src/target/cpu/device/. Embedded at build time, so that one
// binary suffices.
struct DeviceSource {
  std::string name;  // as it is included
  std::string text;
};
const std::vector<DeviceSource>& device_sources();

}  // namespace kernelwright::target

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "target/device_source.h"

namespace kernelwright::target {

// "kernelwright/kernel_abi.h", "kw_math.h" and the other files of src/target/cpu/device/.
const std::vector<DeviceSource>& device_sources();

}  // namespace kernelwright::target

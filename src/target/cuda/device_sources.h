// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "target/device_source.h"

namespace kernelwright::target {

// "kw_cuda.h", its parts and the probe's kernels: src/target/cuda/device/.
const std::vector<DeviceSource>& cuda_device_sources();

}  // namespace kernelwright::target

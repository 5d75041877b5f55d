// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "target/device_source.h"

namespace kernelwright::target {

// "move.ptx", beside this file.
const std::vector<DeviceSource>& move_ptx();

}  // namespace kernelwright::target

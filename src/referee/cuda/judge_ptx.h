// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "target/device_source.h"

namespace kernelwright::target {

// "judge.ptx" and "delay.ptx", beside this file.
const std::vector<DeviceSource>& judge_ptx();

}  // namespace kernelwright::target

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "program/program.h"

namespace kernelwright::target {

// KERNELWRIGHT_BUILD_TIMEOUT_S, or `otherwise` where it is not set; kUsage where it is no time.
Result<double> build_timeout_s(double otherwise);

// Every kernel that the plan launches, each once, sorted.
std::vector<std::string> kernel_names(const program::Program& program);

}  // namespace kernelwright::target

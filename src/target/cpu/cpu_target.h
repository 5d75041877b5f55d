// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "target/target.h"

namespace kernelwright::target {

// The CPU target with settings from the environment (KERNELWRIGHT_CXX, KERNELWRIGHT_CACHE_LIMIT_MB,
// KERNELWRIGHT_BUILD_TIMEOUT_S). Without a compiler it opens all the same and says why it is
// absent.
Result<std::unique_ptr<Target>> open_cpu_target();

}  // namespace kernelwright::target

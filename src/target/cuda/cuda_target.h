// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "target/target.h"

namespace kernelwright::target {

// The CUDA target on device `ordinal`, with settings from the environment
// (KERNELWRIGHT_CUDA_COMPILER, KERNELWRIGHT_CACHE_LIMIT_MB, KERNELWRIGHT_BUILD_TIMEOUT_S). Without
// driver, device or compiler it opens all the same and says why it is absent.
Result<std::unique_ptr<Target>> open_cuda_target(int ordinal);

}  // namespace kernelwright::target

// SPDX-License-Identifier: Apache-2.0
#include "referee/space.h"

#include "referee/cuda/cuda_space.h"

namespace kernelwright::referee {

Result<std::unique_ptr<Space>> open_space(const std::string& target) {
  if (target == "cuda" || target.rfind("cuda:", 0) == 0) return open_cuda_space(target);
  return host_space();
}

}  // namespace kernelwright::referee

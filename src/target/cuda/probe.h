// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "target/cuda/device_limits.h"
#include "target/cuda/toolchain.h"
#include "target/machine_model.h"

namespace kernelwright::target {

// The machine model of a CUDA device: from `cache_root` when its identity still holds, else
// measured (a few seconds) by kernels that `compiler` builds, in a process of its own, so that no
// context stays. Every figure is the best of several samples and of what was measured before on
// this device: a ceiling.
Result<MachineModel> cuda_machine_model(const CudaCompiler& compiler, const CudaDevice& device,
                                        const std::string& target,
                                        const std::filesystem::path& cache_root, bool remeasure);

// That process: `kernelwright cuda-probe DEVICE CUBIN`, prints the measured figures as JSON.
int cuda_probe_main(int argc, char** argv);

}  // namespace kernelwright::target

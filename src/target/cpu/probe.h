// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "target/cpu/toolchain.h"
#include "target/machine_model.h"

namespace kernelwright::target {

// The machine model of this CPU: from `cache_root` when its identity still holds, else measured (a
// few seconds, all threads) through the runtime, by kernels that `compiler` builds for this
// machine. Every figure is the best of several samples, and of what was measured before on this
// machine: it is a ceiling. One measured while others used the machine is measured again after a
// while.
Result<MachineModel> cpu_machine_model(const Compiler& compiler,
                                       const std::filesystem::path& cache_root, bool remeasure);

}  // namespace kernelwright::target

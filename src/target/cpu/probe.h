// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "target/cpu/toolchain.h"
#include "target/machine_model.h"

namespace kernelwright::target {

// "AMD EPYC, 2 threads": the model and what this process may use of it.
std::string cpu_device_name();
// Threads that this process may run at once (affinity mask).
int cpu_threads();

// The machine model of this CPU: from the cache when its identity still holds, else measured (a few seconds, all
// threads) by kernels that `compiler` builds for this machine.
Result<MachineModel> cpu_machine_model(const Compiler& compiler, bool remeasure);

}  // namespace kernelwright::target

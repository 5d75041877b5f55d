// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "target/runtime/loaded_program.h"

namespace kernelwright::runtime {

// A validated program on the CPU: kernels resolved in the shared object at `object_path`, plans
// compiled, memory laid out. It has no streams: calls return when the work is done.
Result<std::unique_ptr<LoadedProgram>> open_cpu_program(program::Program program,
                                                        program::Layout layout,
                                                        const std::string& object_path);

}  // namespace kernelwright::runtime

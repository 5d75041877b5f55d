// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "target/runtime/loaded_program.h"

namespace kernelwright::runtime {

// A validated program on an NVIDIA GPU: the cubin at `object_path` loaded into the calling thread's
// current context (the primary context of a device when there is none), plans fitted to the device,
// memory laid out. Plans of several steps run as a CUDA graph: built in the first call that is not
// itself captured, rewritten in place when the caller's addresses or scalars change.
// KERNELWRIGHT_CUDA_GRAPHS=never launches every step by itself.
Result<std::unique_ptr<LoadedProgram>> open_cuda_program(program::Program program,
                                                         program::Layout layout,
                                                         const std::string& object_path);

}  // namespace kernelwright::runtime

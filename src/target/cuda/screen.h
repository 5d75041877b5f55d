// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "program/program.h"
#include "target/cuda/cubin.h"
#include "target/cuda/device_limits.h"

namespace kernelwright::target {

// The screen of a built cubin, judged on the binary and not on the source's words. docs/cuda.md.
// Each function gives the reason of a refusal, naming symbol, section or kernel, or nothing.
// Content is untrusted.

// Structure: no writable global memory, nothing undefined (device malloc, printf, assert, launches
// from the device), no textures or surfaces; the program's kernels are there.
std::optional<std::string> screen_cubin(std::string_view bytes,
                                        const std::vector<std::string>& kernels);

// Every launch of the plan against the device: threads, registers, shared memory, grid, cluster,
// parameters, and whether a cooperative grid fits at once. The numbers are in the reason.
std::optional<std::string> screen_launches(const Cubin& cubin, const program::Program& program,
                                           const CudaDevice& device);

// Blocks of a kernel that fit a multiprocessor at once.
int64_t resident_blocks(const Cubin::Kernel& kernel, int64_t threads, int64_t dynamic_shared,
                        const CudaDevice& device);

}  // namespace kernelwright::target

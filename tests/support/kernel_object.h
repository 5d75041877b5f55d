// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace kernelwright::testing {

// Compiles kernel source (kernel_abi.h is included for it) with the system's g++ into the build
// folder, once per content, and gives the object's path. Fails the test when it does not compile.
std::string build_kernels(std::string_view source);

}  // namespace kernelwright::testing

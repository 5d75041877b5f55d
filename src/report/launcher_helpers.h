// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kernelwright::report {

// Parts of the C++ text that launcher_source() writes. `Before` stands in front of the kernels,
// `Helpers` behind them and in front of the plan.
extern const char* const kCudaBefore;
extern const char* const kCudaHelpers;
extern const char* const kCpuBefore;
extern const char* const kCpuHelpers;

}  // namespace kernelwright::report

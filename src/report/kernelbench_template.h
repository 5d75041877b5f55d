// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kernelwright::report {

// The parts of the Python file that are the same for every artifact; what differs stands between
// them (kernelbench.cpp).
extern const char* const kKernelbenchImports;
extern const char* const kKernelbenchBody;

}  // namespace kernelwright::report

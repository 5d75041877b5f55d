// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kernelwright::runtime {

// Architecture and instruction sets that matter to generated code, separated by blanks, in a fixed
// order: "x86_64 sse4.2 avx avx2 fma f16c avx512f".
const char* cpu_features();

}  // namespace kernelwright::runtime

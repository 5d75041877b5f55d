// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "target/cpu/runtime/pool.h"

namespace kernelwright::runtime {

// Reads `read` bytes and writes `written` bytes once, in step, on all threads: what memory alone
// allows a kernel with this traffic. Large results are stored past the caches, as kernels do.
// Addresses are 64-byte aligned; what is written means nothing.
void move_traffic(Pool& pool, const void* from, int64_t read, void* to, int64_t written);

}  // namespace kernelwright::runtime

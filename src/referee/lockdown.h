// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/result.h"

namespace kernelwright::referee {

// How a bench worker locks itself in, in two stages. Filters stack: a later one only takes away.
// Each violation kills the whole process with SIGSYS.

// Before any object is loaded: no files but the given objects (Landlock), no sockets, no new
// programs, no core dumps, no new privileges. Threads and opening files are still possible.
Status lock_before_loading(const std::vector<int>& object_fds);

// After the objects are loaded and the pool's threads run: computing, memory without execute
// permission, futexes, clocks, and messages on open descriptors; nothing else. For all threads.
Status lock_before_running();

}  // namespace kernelwright::referee

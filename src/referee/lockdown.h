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

// For a worker whose kernels run on a GPU, once its context is made: the driver goes on opening
// device files and making threads, so the filter names what is forbidden: new programs and
// processes, sockets, tracing and signalling others, new privileges. Files can be written under
// /dev and /proc alone. A kernel on a GPU has no system calls to begin with.
Status lock_beside_driver();

}  // namespace kernelwright::referee

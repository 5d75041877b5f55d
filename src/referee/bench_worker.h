// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace kernelwright::referee {

// The judged process: `kernelwright bench-worker --fd N`. Serves one judgement over the channel
// (bench_protocol.h) and ends when the channel closes. Exit status 0; everything else is the
// kernel's doing.
int bench_worker_main(int fd);

}  // namespace kernelwright::referee

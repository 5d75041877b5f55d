// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "expert/dialects/kernel_arguments.h"

namespace kernelwright::expert {

// One CPU kernel under construction.
class KernelText : public KernelArguments {
 public:
  using KernelArguments::KernelArguments;
  // Body text; uses `begin`, `end`, `kw` and the pointers.
  std::string body;
  // Code before the kernel at file scope (helpers marked static inline).
  std::string helpers;
  // Bytes of per-worker scratch; the body finds them at kw->scratch.
  int64_t scratch_bytes = 0;
  int64_t grain = 0;
  bool team = false;  // all workers at once; they meet at kw->barrier(kw->team)
  // Adds the source and a launch over `grid` points.
  void launch(int64_t grid);
  void launch_in_prepare(int64_t grid);

 private:
  program::Launch finish(int64_t grid);
};

// Source text of `kw_stream(to, from, bytes)`: copies past the caches what are whole 64-byte lines
// of `to`, the rest plainly. Guarded so that it may be added by several kernels.
std::string stream_helper();

}  // namespace kernelwright::expert

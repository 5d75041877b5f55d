// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "program/program.h"

namespace kernelwright::program {

// Where scratch, packed and sync buffers lie in the runtime's one arena per program: offsets in
// bytes, 64-byte aligned (256 on CUDA). Scratch buffers that are never in use at the same time
// (liveness.h) may share bytes; packed and sync never do.
struct Layout {
  std::map<std::string, int64_t> offset;
  std::map<std::string, int64_t> bytes;
  int64_t packed_bytes = 0;  // [0, packed_bytes) packed, then sync, then scratch
  int64_t sync_bytes = 0;
  int64_t scratch_bytes = 0;
  int64_t total() const { return packed_bytes + sync_bytes + scratch_bytes; }
};
Result<Layout> lay_out(const Program& program, int64_t alignment);

}  // namespace kernelwright::program

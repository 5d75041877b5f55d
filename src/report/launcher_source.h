// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "program/parse.h"

namespace kernelwright::report {

// A program as C++ that needs nothing of ours: the kernels, what they include, and a host function
// that launches the plan. For a reader who wants the program without the runtime.
struct LauncherSource {
  // Defines `const char* kw_call(int which, void** slots, long long multiprocessors_or_threads,
  // void* stream_or_scratch)`: which 0 is `prepare`, 1 is `run`; one slot per buffer, in the
  // program's order; null is success, otherwise one line on what went wrong. For cuda a .cu file
  // for nvcc, for cpu a file for g++ with OpenMP.
  std::string code;
  std::vector<std::string> flags;  // for nvcc or g++
  int64_t workspace_bytes = 0;     // one allocation, zero at first
  int64_t worker_scratch = 0;      // cpu: bytes per worker, multiple of 64
  bool prepares = false;
  struct Slot {
    std::string role;    // "input", "output", "weight", "state", "workspace"
    int index = -1;      // of an input or output
    std::string name;    // of a weight or state
    int64_t offset = 0;  // in the workspace
    std::string table;   // content of a table, bytes
  };
  std::vector<Slot> slots;
};

// kInput for what has no such form: scalar inputs, library routines, targets but cpu and cuda.
Result<LauncherSource> launcher_source(const program::Candidate& candidate);

// A dtype's bytes of one value; used for fills and tables.
std::string element_bytes(double value, graph::DType dtype);

}  // namespace kernelwright::report

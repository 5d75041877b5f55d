// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernelwright/runtime.h"
#include "program/layout.h"
#include "program/program.h"

namespace kernelwright::runtime {

// A program that is ready to run, whatever its target: what kw_program stands for. Thread-safe:
// calls wait for one another. `stream` is the target's own (CUstream); null is its default, and the
// only one where a target has none.
class LoadedProgram {
 public:
  // Opens the program on the target that it names.
  static Result<std::unique_ptr<LoadedProgram>> open(const std::string& json,
                                                     const std::string& object_path);
  LoadedProgram(const LoadedProgram&) = delete;
  virtual ~LoadedProgram() = default;

  // A buffer as the caller passes it: inputs and outputs in the order of their index, weights and
  // states in the order written.
  struct Port {
    std::string name;    // of the weight or state, else of the buffer
    int index = -1;      // of the input or output
    int64_t bytes = -1;  // -1: the program does not say
    int slot = 0;
  };
  const std::vector<Port>* ports(const std::string& role) const;  // null: no such role
  const std::string& target() const { return program_.target; }
  virtual int64_t workspace_bytes() const { return layout_.total(); }

  // In the stream's order. They return when the work is queued; wait() waits for it.
  virtual Status prepare(const void* const* weights, void* stream) = 0;
  virtual Status run(const void* const* inputs, void* const* outputs, void* const* states,
                     const double* scalars, void* stream) = 0;
  virtual Status wait(void* stream) = 0;

  // run(), step by step with nothing side by side; step_times() waits for it: ms of each launch,
  // fill and copy of `run`, in program::step_names' order.
  virtual Status profile(const void* const* inputs, void* const* outputs, void* const* states,
                         const double* scalars, void* stream) = 0;
  virtual Result<std::vector<double>> step_times() = 0;
  // What was counted in each of them; none where the target counts nothing.
  virtual std::vector<kw_counts> step_counts() { return {}; }
  int step_count() const {
    return static_cast<int>(program::step_names(program_.run, "run").size());
  }

  virtual Status poison_scratch(int byte, void* stream) = 0;
  virtual Result<bool> sync_is_zero(void* stream) = 0;
  // One JSON object about the kernels and how the plan is executed; for reports.
  virtual Result<std::string> describe() = 0;

 protected:
  // Every pointer that a caller passes is aligned to this; kernel_abi.h and the format promise it.
  static constexpr int64_t kAlignment = 64;
  static bool is_aligned(const void* pointer) {
    return reinterpret_cast<uintptr_t>(pointer) % kAlignment == 0;
  }

  explicit LoadedProgram(program::Program program);
  Status check_pointer(const Port& port, const void* pointer, const char* role) const;

  program::Program program_;  // validated
  program::Layout layout_;
  std::vector<Port> inputs_, weights_, outputs_, states_;
  bool needs_prepare_ = true;
};

// Encoded content of all table buffers, one after the other, each at a multiple of `alignment`.
struct Tables {
  std::vector<unsigned char> bytes;
  std::vector<std::pair<size_t, int64_t>> offsets;  // buffer index, offset into bytes
};
Tables encode_tables(const program::Program& program, int64_t alignment);

}  // namespace kernelwright::runtime

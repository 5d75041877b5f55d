// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "program/layout.h"
#include "program/program.h"
#include "target/cpu/runtime/arena.h"
#include "target/cpu/runtime/object.h"
#include "target/cpu/runtime/plan.h"

namespace kernelwright::runtime {

// A program that is ready to run: kernels resolved, plans compiled, memory laid out. What
// kw_program stands for. Thread-safe: calls wait for one another.
class LoadedProgram {
 public:
  static Result<std::unique_ptr<LoadedProgram>> open(const std::string& json,
                                                     const std::string& object_path);

  // A buffer as the caller passes it: inputs and outputs in the order of their index, weights and
  // states in the order written.
  struct Port {
    std::string name;    // of the weight or state, else of the buffer
    int index = -1;      // of the input or output
    int64_t bytes = -1;  // -1: the program does not say
    int slot = 0;
  };
  const std::vector<Port>* ports(const std::string& role) const;  // null: no such role
  int64_t workspace_bytes() const { return layout_.total(); }

  Status prepare(const void* const* weights);
  Status run(const void* const* inputs, void* const* outputs, void* const* states,
             const double* scalars);

  void poison_scratch(int byte);
  bool sync_is_zero() const;

 private:
  Status load(const std::string& json, const std::string& object_path);
  Status build_tables();
  void build_ports();
  Status reserve_worker_scratch(int threads);
  Status bind(const std::vector<Port>& ports, const void* const* pointers, const char* role);
  Status bind_weights(const void* const* weights);

  mutable std::mutex mutex_;
  program::Program program_;
  program::Layout layout_;
  KernelObject object_;
  Plan prepare_plan_, run_plan_;
  Arena arena_, tables_, worker_scratch_;
  int64_t worker_stride_ = 0;
  std::vector<Arena>
      aligned_weights_;            // copies of weights whose own address is not 64-byte aligned
  std::vector<std::byte*> slots_;  // by buffer index
  std::vector<Port> inputs_, weights_, outputs_, states_;
  bool needs_prepare_ = true;
};

}  // namespace kernelwright::runtime

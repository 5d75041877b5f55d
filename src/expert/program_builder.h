// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/stage.h"
#include "program/parse.h"

namespace kernelwright::expert {

class ProgramBuilder;

// One CPU kernel under construction: collects its buffer arguments and its body.
class KernelText {
 public:
  KernelText(ProgramBuilder& builder, const std::string& hint);
  const std::string& name() const { return name_; }
  // Variable that points to a tensor or buffer; a repeated call gives the same variable.
  std::string read(int tensor);
  std::string write(int tensor);
  std::string read_buffer(const std::string& buffer);
  std::string write_buffer(const std::string& buffer);
  // Body text; uses `begin`, `end`, `kw` and the pointers.
  std::string body;
  // Code before the kernel at file scope (helpers marked static inline).
  std::string helpers;
  // Bytes of per-worker scratch; the body finds them at kw->scratch.
  int64_t scratch_bytes = 0;
  int64_t grain = 0;
  bool team = false;
  // Adds the source and a launch over `grid` points.
  void launch(int64_t grid);
  void launch_in_prepare(int64_t grid);

 private:
  program::Launch finish(int64_t grid);
  std::string pointer(const std::string& buffer, program::Access access);
  ProgramBuilder& builder_;
  std::string name_;
  std::vector<program::BufferArg> args_;
};

// Assembles a candidate for one region: buffers by role under canonical names, kernels, launches.
class ProgramBuilder {
 public:
  ProgramBuilder(const std::vector<graph::StageTensor>& tensors, std::string target);
  // Buffer that holds a tensor, declared on first use.
  std::string buffer(int tensor);
  std::string add_buffer(program::BufferRole role, graph::DType dtype,
                         const std::vector<int64_t>& shape);
  graph::DType dtype(const std::string& buffer) const;
  const graph::StageTensor& tensor(int index) const {
    return tensors_.at(static_cast<size_t>(index));
  }
  bool is_weight(int tensor) const;  // may be read by `prepare`
  // A scratch tensor of the region's own, for what lives between kernels of one op.
  std::string fresh_name(const std::string& hint);
  void add_source(const std::string& text);
  void add_run(program::Launch launch);
  void add_prepare(program::Launch launch);
  void require_flag(const std::string& flag);
  program::Candidate finish();

 private:
  const std::vector<graph::StageTensor>& tensors_;
  program::Program program_;
  std::string source_;
  std::map<int, std::string> names_;
  std::map<std::string, std::string>
      shadowed_states_;  // state buffer <- scratch with its new value
  int next_kernel_ = 0;
  std::map<program::BufferRole, int> next_buffer_;
};

}  // namespace kernelwright::expert

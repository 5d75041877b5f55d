// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "graph/stage.h"
#include "program/parse.h"
#include "rewrite/fuse.h"

namespace kernelwright::expert {

// Assembles a candidate for one region: buffers by role under canonical names, kernels, launches.
class ProgramBuilder {
 public:
  ProgramBuilder(const std::vector<graph::StageTensor>& tensors, std::string target);
  // Buffer that holds a tensor, declared on first use.
  std::string buffer(int tensor);
  // What follows makes this op, the graph's `index`-th: in `prepare` when it is a prepared one, its
  // temporaries packed.
  void begin_op(const rewrite::FusedOp& op, size_t index = 0);
  std::string add_buffer(program::BufferRole role, graph::DType dtype,
                         const std::vector<int64_t>& shape);
  graph::DType dtype(const std::string& buffer) const;
  const std::string& target() const { return program_.target; }
  const graph::StageTensor& tensor(int index) const {
    return tensors_.at(static_cast<size_t>(index));
  }
  bool is_weight(int tensor) const;  // may be read by `prepare`
  // A scratch tensor of the region's own, for what lives between kernels of one op.
  std::string fresh_name(const std::string& hint);
  void add_source(const std::string& text);
  void add_run(program::Launch launch);
  void add_prepare(program::Launch launch);
  // Launches between these two are repeated.
  void begin_repeat(int64_t count);
  void end_repeat();
  // Sets the first elements of a tensor to zero: what a loop reads a step back begins as something.
  void add_clear(int tensor, int64_t elements);
  void require_flag(const std::string& flag);
  // What the device must have ("cluster"), and a device header beside the usual ones.
  void require_feature(const std::string& feature);
  void require_header(const std::string& header);
  program::Candidate finish();
  // After finish(): the op that each step of `run` belongs to, in program::step_names' order;
  // -1: none.
  const std::vector<int>& op_of_step() const { return op_of_step_; }

 private:
  const std::vector<graph::StageTensor>& tensors_;
  program::Program program_;
  bool preparing_ = false;
  std::optional<program::Repeat> repeat_;  // under construction
  std::set<int> packed_;                   // tensors that prepared ops make
  std::string source_;
  std::set<std::string> headers_;
  std::map<int, std::string> names_;
  std::map<std::string, std::string>
      shadowed_states_;  // state buffer <- scratch with its new value
  int next_kernel_ = 0;
  int op_ = -1;  // the begun one
  std::vector<int> op_of_step_;
  std::map<program::BufferRole, int> next_buffer_;
};

}  // namespace kernelwright::expert

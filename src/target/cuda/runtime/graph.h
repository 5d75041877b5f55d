// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "target/cuda/runtime/walk.h"

namespace kernelwright::cuda {

// Where a slot's memory lies for the question of what may run side by side.
struct Storage {
  enum Kind { kConstant, kWorkspace, kCaller } kind = kCaller;
};

// A plan as an executable CUDA graph. Steps that touch different memory have no order between them;
// a launch that expects its blocks to be resident (cooperative, resident_per_sm, sync buffers) runs
// alone; a plan with pdl launches is a chain, as in a stream. Built by capturing each step on a
// stream of our own.
class PlanGraph {
 public:
  struct Build {
    const Driver& driver;
    Context context;
    Stream stream;  // of our own, idle
    Function move_kernel;
    Plan& plan;
    std::vector<Ptr>& slots;
    const double* scalars;
    const std::vector<Storage>& storage;  // by slot
    Ptr workspace;                        // its first byte
  };
  static Result<std::unique_ptr<PlanGraph>> build(const Build& build);
  PlanGraph(const PlanGraph&) = delete;
  ~PlanGraph();

  // Writes new addresses into the steps that use a slot whose entry in `changed` is set, and new
  // scalars into those that take any where `scalars_changed`.
  Status update(Plan& plan, std::vector<Ptr>& slots, const double* scalars,
                const std::vector<char>& changed, bool scalars_changed);
  Status launch(Stream stream) const { return driver_.graph_launch(exec_, stream); }
  size_t nodes() const { return nodes_.size(); }
  size_t edges() const { return edges_; }

 private:
  explicit PlanGraph(const Driver& driver, Context context, Function move_kernel)
      : driver_(driver), context_(context), move_kernel_(move_kernel) {}

  const Driver& driver_;
  Context context_;
  Function move_kernel_;
  Graph graph_ = nullptr;  // kept: its nodes name those of exec_
  GraphExec exec_ = nullptr;
  std::vector<GraphNode> nodes_;  // in the order in which walk() meets the steps
  size_t edges_ = 0;
};

// Finds, step by step, which earlier steps each must wait for.
class Dependencies {
 public:
  // Bytes of one memory: `space` 0 is the workspace, others are callers' buffers.
  struct Range {
    uint32_t space = 0;
    int64_t begin = 0, end = 0;
    bool write = false;
  };
  // The steps (by number, 0 is the first) that the next step waits for. `alone`: all before it, and
  // all after it wait for it.
  const std::vector<uint32_t>& add(const std::vector<Range>& ranges, bool alone);

 private:
  struct Access {
    Range range;
    uint32_t step;
  };
  std::vector<std::vector<uint32_t>> waits_;   // by step
  std::vector<char> waited_for_;               // by step: some later step waits for it
  std::vector<std::vector<Access>> accesses_;  // by space
  int64_t barrier_ = -1;                       // the last step that ran alone
};

}  // namespace kernelwright::cuda

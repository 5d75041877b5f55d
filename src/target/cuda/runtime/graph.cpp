// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/graph.h"

#include <fmt/core.h>

#include <algorithm>

namespace kernelwright::cuda {
namespace {

// Captures every step on a stream whose dependencies are set before each.
class CaptureSink final : public StreamSink {
 public:
  CaptureSink(const PlanGraph::Build& build, std::vector<GraphNode>& nodes)
      : StreamSink(build.driver, build.stream, build.move_kernel), build_(build), nodes_(nodes) {}

  Status launch(LaunchOp& op) override {
    KW_CHECK_OK(order(op.touches, op.alone));
    KW_CHECK_OK(StreamSink::launch(op));
    return remember(op.place);
  }
  Status move(MoveStep& step, Ptr to, Ptr from) override {
    KW_CHECK_OK(order(step.touches, false));
    KW_CHECK_OK(StreamSink::move(step, to, from));
    return remember(step.place);
  }
  size_t edges() const { return edges_; }

 private:
  Status order(const std::vector<Touch>& touches, bool alone) {
    if (build_.plan.pdl) {
      // As captured: each step after the one before.
      edges_ += nodes_.empty() ? 0 : 1;
      return {};
    }
    ranges_.clear();
    for (const Touch& touch : touches) {
      Storage::Kind kind = build_.storage[touch.slot].kind;
      if (kind == Storage::kConstant) continue;
      if (kind == Storage::kCaller) {
        ranges_.push_back({touch.slot + 1, touch.begin, touch.end, touch.write});
        continue;
      }
      // Scratch shares bytes with other scratch and may have been swapped: what counts is where it
      // lies now.
      auto base = static_cast<int64_t>(build_.slots[touch.slot] - build_.workspace);
      ranges_.push_back({0, base + touch.begin, base + touch.end, touch.write});
    }
    waits_.clear();
    for (uint32_t step : dependencies_.add(ranges_, alone)) waits_.push_back(nodes_[step]);
    edges_ += waits_.size();
    return driver_.stream_update_capture_dependencies(stream_, waits_.data(), waits_.size(),
                                                      kSetCaptureDependencies);
  }

  Status remember(const std::string& place) {
    CaptureStatus status = kCaptureNone;
    uint64_t id = 0;
    Graph graph = nullptr;
    const GraphNode* nodes = nullptr;
    size_t count = 0;
    KW_CHECK_OK(driver_.stream_get_capture_info(stream_, &status, &id, &graph, &nodes, &count));
    if (status != kCaptureActive || count != 1)
      return fail(ErrorKind::kInternal,
                  fmt::format("{}: captured as {} nodes, one was expected", place, count));
    nodes_.push_back(nodes[0]);
    return {};
  }

  const PlanGraph::Build& build_;
  std::vector<GraphNode>& nodes_;
  Dependencies dependencies_;
  std::vector<Dependencies::Range> ranges_;
  std::vector<GraphNode> waits_;
  size_t edges_ = 0;
};

class UpdateSink final : public Sink {
 public:
  UpdateSink(const Driver& driver, Context context, Function move_kernel, GraphExec exec,
             const std::vector<GraphNode>& nodes, const std::vector<char>& changed,
             bool scalars_changed)
      : driver_(driver),
        context_(context),
        move_kernel_(move_kernel),
        exec_(exec),
        nodes_(nodes),
        changed_(changed),
        scalars_changed_(scalars_changed) {}

  bool skip(const Op& op) override {
    const auto* launch = std::get_if<LaunchOp>(&op);
    const auto& touches = launch ? launch->touches : std::get<MoveStep>(op).touches;
    bool wanted = launch && scalars_changed_ && !launch->scalars.empty();
    for (const Touch& touch : touches) wanted = wanted || changed_[touch.slot];
    if (!wanted) ++at_;
    return !wanted;
  }

  Status launch(LaunchOp& op) override {
    KernelNodeParams params;
    params.function = op.function;
    params.grid_x = op.config.grid_x;
    params.grid_y = op.config.grid_y;
    params.grid_z = op.config.grid_z;
    params.block_x = op.config.block_x;
    params.block_y = op.config.block_y;
    params.block_z = op.config.block_z;
    params.shared_bytes = op.config.shared_bytes;
    params.params = op.params.data();
    if (auto status = driver_.graph_exec_kernel_node_set_params(exec_, nodes_[at_++], &params);
        !status)
      return fail(std::move(status.error()).with("kernel", op.kernel).with("step", op.place));
    return {};
  }

  Status move(MoveStep& step, Ptr to, Ptr from) override {
    GraphNode node = nodes_[at_++];
    const MovePlan& move = step.move;
    Status status;
    if (move.kind == MoveKind::kMemcpy) {
      Memcpy3d copy;
      copy.from_device = from;
      copy.to_device = to;
      copy.width_bytes = static_cast<size_t>(move.bytes);
      copy.from_pitch = copy.to_pitch = copy.width_bytes;
      copy.from_height = copy.to_height = 1;
      status = driver_.graph_exec_memcpy_node_set_params(exec_, node, &copy, context_);
    } else if (move.kind == MoveKind::kMemset) {
      MemsetNodeParams fill;
      fill.to = to;
      fill.value = move.value;
      fill.element_bytes = move.element_bytes;
      fill.width = static_cast<size_t>(move.bytes / move.element_bytes);
      status = driver_.graph_exec_memset_node_set_params(exec_, node, &fill, context_);
    } else {
      set_addresses(step, to, from);
      void* arguments[] = {&step.move.args};
      KernelNodeParams params;
      params.function = move_kernel_;
      params.grid_x = move.blocks;
      params.block_x = kMoveThreads;
      params.params = arguments;
      status = driver_.graph_exec_kernel_node_set_params(exec_, node, &params);
    }
    if (!status) return fail(std::move(status.error()).with("step", step.place));
    return {};
  }

 private:
  const Driver& driver_;
  Context context_;
  Function move_kernel_;
  GraphExec exec_;
  const std::vector<GraphNode>& nodes_;
  const std::vector<char>& changed_;
  bool scalars_changed_;
  size_t at_ = 0;
};

}  // namespace

const std::vector<uint32_t>& Dependencies::add(const std::vector<Range>& ranges, bool alone) {
  auto step = static_cast<uint32_t>(waits_.size());
  std::vector<uint32_t> waits;
  if (alone) {
    for (uint32_t other = 0; other < step; ++other)
      if (!waited_for_[other]) waits.push_back(other);
    barrier_ = step;
    // Everything before is behind the barrier.
    for (auto& list : accesses_) list.clear();
  } else {
    for (const Range& range : ranges) {
      if (accesses_.size() <= range.space) accesses_.resize(range.space + 1);
      for (const Access& other : accesses_[range.space])
        if ((range.write || other.range.write) && range.begin < other.range.end &&
            other.range.begin < range.end)
          waits.push_back(other.step);
    }
    std::sort(waits.begin(), waits.end());
    waits.erase(std::unique(waits.begin(), waits.end()), waits.end());
    if (waits.empty() && barrier_ >= 0) waits.push_back(static_cast<uint32_t>(barrier_));
    // What a step that we wait for waited for itself need not be named again.
    std::vector<uint32_t> implied;
    for (uint32_t other : waits)
      implied.insert(implied.end(), waits_[other].begin(), waits_[other].end());
    std::sort(implied.begin(), implied.end());
    waits.erase(std::remove_if(waits.begin(), waits.end(),
                               [&](uint32_t other) {
                                 return std::binary_search(implied.begin(), implied.end(), other);
                               }),
                waits.end());
    for (const Range& range : ranges) {
      auto& list = accesses_[range.space];
      // Whoever conflicts with an access that this write covers conflicts with this write.
      if (range.write)
        list.erase(std::remove_if(list.begin(), list.end(),
                                  [&](const Access& other) {
                                    return other.step != step && range.begin <= other.range.begin &&
                                           other.range.end <= range.end;
                                  }),
                   list.end());
      list.push_back({range, step});
    }
  }
  for (uint32_t other : waits) waited_for_[other] = 1;
  waited_for_.push_back(0);
  waits_.push_back(std::move(waits));
  return waits_.back();
}

Result<std::unique_ptr<PlanGraph>> PlanGraph::build(const Build& build) {
  const Driver& driver = build.driver;
  std::unique_ptr<PlanGraph> out(new PlanGraph(driver, build.context, build.move_kernel));
  out->nodes_.reserve(static_cast<size_t>(build.plan.executed));
  KW_CHECK_OK(driver.stream_begin_capture(build.stream, kCaptureRelaxed));
  CaptureSink sink(build, out->nodes_);
  Status status = walk(driver, build.plan, build.slots, build.scalars, sink);
  // Ends the capture in any case: a stream left capturing would be of no more use.
  Code code = driver.stream_end_capture.raw(build.stream, &out->graph_);
  if (!status) return fail(std::move(status.error()));
  if (code != kSuccess) return fail(call_error(driver.stream_end_capture.name, code));
  KW_CHECK_OK(driver.graph_instantiate(&out->exec_, out->graph_, 0));
  out->edges_ = sink.edges();
  return out;
}

PlanGraph::~PlanGraph() {
  if (exec_) (void)driver_.graph_exec_destroy.raw(exec_);
  if (graph_) (void)driver_.graph_destroy.raw(graph_);
}

Status PlanGraph::update(Plan& plan, std::vector<Ptr>& slots, const double* scalars,
                         const std::vector<char>& changed, bool scalars_changed) {
  UpdateSink sink(driver_, context_, move_kernel_, exec_, nodes_, changed, scalars_changed);
  return walk(driver_, plan, slots, scalars, sink);
}

}  // namespace kernelwright::cuda

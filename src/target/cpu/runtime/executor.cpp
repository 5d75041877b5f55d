// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "program/limits.h"

// What kernels see as an opaque handle.
struct kw_team {
  kernelwright::runtime::Pool* pool;
};

namespace kernelwright::runtime {
namespace {

void team_barrier(kw_team* team) {
  team->pool->team_barrier();
}

struct LaunchContext {
  const LaunchOp* op;
  const Execution* execution;
  kw_team* team;
  int worker_count;
};

void launch_body(void* context, int worker, int64_t begin, int64_t end) {
  const auto& launch = *static_cast<const LaunchContext*>(context);
  kw_args args;
  args.buffers = launch.op->pointers.data();
  args.values = launch.op->values.data();
  args.worker = worker;
  args.worker_count = launch.worker_count;
  args.scratch = launch.op->scratch_bytes > 0
                     ? launch.execution->scratch + worker * launch.execution->scratch_stride
                     : nullptr;
  args.scratch_bytes = launch.op->scratch_bytes;
  args.barrier = launch.team ? team_barrier : nullptr;
  args.team = launch.team;
  launch.op->kernel(&args, begin, end);
}

void launch(LaunchOp& op, const Execution& execution, const int64_t* counters) {
  for (size_t i = 0; i < op.buffers.size(); ++i)
    op.pointers[i] = execution.slots[op.buffers[i].slot] + op.buffers[i].offset;
  for (const auto& patch : op.scalars)
    op.values[patch.value] = scalar_value(patch.dtype, execution.scalars[patch.scalar]);
  for (const auto& patch : op.steps)
    op.values[patch.value] = counter_value(patch.dtype, counters[patch.depth]);
  kw_team team{&execution.pool};
  LaunchContext context{&op, &execution, op.team ? &team : nullptr, execution.pool.threads()};
  if (op.team)
    execution.pool.run_team(launch_body, &context, op.total);
  else
    execution.pool.run_ranges(launch_body, &context, op.total, op.grain);
}

struct MoveContext {
  const MoveOp* op;
  std::byte* to;
  const std::byte* from;
};

void fill_bytes(std::byte* to, int64_t bytes, const MoveOp& op, int64_t phase) {
  bool uniform = true;
  for (int64_t i = 1; i < op.pattern_bytes; ++i)
    uniform = uniform && op.pattern[i] == op.pattern[0];
  if (uniform) {
    std::memset(to, op.pattern[0], static_cast<size_t>(bytes));
    return;
  }
  // Doubling copies; a range may begin inside an element.
  int64_t head = std::min(bytes, op.pattern_bytes);
  for (int64_t i = 0; i < head; ++i)
    to[i] = static_cast<std::byte>(op.pattern[(phase + i) % op.pattern_bytes]);
  for (int64_t done = head; done < bytes;) {
    int64_t next = std::min(done, bytes - done);
    std::memcpy(to + done, to, static_cast<size_t>(next));
    done += next;
  }
}

// One contiguous run, cut by bytes.
void move_run(void* context, int, int64_t begin, int64_t end) {
  const auto& move = *static_cast<const MoveContext*>(context);
  if (move.op->fill)
    fill_bytes(move.to + begin, end - begin, *move.op, begin);
  else
    std::memcpy(move.to + begin, move.from + begin, static_cast<size_t>(end - begin));
}

// Many runs, cut by run.
void move_runs(void* context, int, int64_t begin, int64_t end) {
  const auto& move = *static_cast<const MoveContext*>(context);
  const MoveOp& op = *move.op;
  for (int64_t run = begin; run < end; ++run) {
    int64_t rest = run, to = 0, from = 0;
    for (size_t d = op.extents.size(); d-- > 0;) {
      int64_t at = rest % op.extents[d];
      rest /= op.extents[d];
      to += at * op.to_strides[d];
      from += at * op.from_strides[d];
    }
    if (op.fill)
      fill_bytes(move.to + to, op.run_bytes, op, 0);
    else
      std::memcpy(move.to + to, move.from + from, static_cast<size_t>(op.run_bytes));
  }
}

void move(const MoveOp& op, const Execution& execution) {
  if (op.run_bytes == 0 || op.runs == 0) return;
  constexpr int64_t kBytesPerRange = 64 << 10;
  MoveContext context{&op, execution.slots[op.to.slot] + op.to.offset,
                      execution.slots[op.from.slot] + op.from.offset};
  if (op.runs == 1)
    execution.pool.run_ranges(move_run, &context, op.run_bytes, kBytesPerRange);
  else
    execution.pool.run_ranges(move_runs, &context, op.runs,
                              std::max<int64_t>(1, kBytesPerRange / op.run_bytes));
}

// Adds what happens until its end to an op's record, where the execution keeps any. Counters are
// read outside the time that counts.
class StepClock {
 public:
  StepClock(const Execution& execution, size_t op)
      : record_(execution.records ? execution.records + op : nullptr) {
    if (!record_) return;
    counted_ = process_counters().read();
    begin_ = Clock::now();
  }
  StepClock(const StepClock&) = delete;
  ~StepClock() {
    if (!record_) return;
    record_->ms += std::chrono::duration<double, std::milli>(Clock::now() - begin_).count();
    add_counts(record_->counts, counted_, process_counters().read());
  }

 private:
  using Clock = std::chrono::steady_clock;
  StepRecord* record_;
  Counters::Snapshot counted_;
  Clock::time_point begin_;
};

}  // namespace

void execute(Plan& plan, const Execution& execution) {
  int64_t counters[program::kMaxRepeatDepth] = {};
  for (size_t i = 0; i < plan.swapped.size(); ++i) plan.kept[i] = execution.slots[plan.swapped[i]];
  for (size_t at = 0; at < plan.ops.size(); ++at) {
    Op& op = plan.ops[at];
    if (auto* kernel = std::get_if<LaunchOp>(&op)) {
      const StepClock clock(execution, at);
      launch(*kernel, execution, counters);
    } else if (auto* box = std::get_if<MoveOp>(&op)) {
      const StepClock clock(execution, at);
      move(*box, execution);
    } else if (auto* begin = std::get_if<RepeatBegin>(&op)) {
      counters[begin->depth] = 0;
    } else if (auto* end = std::get_if<RepeatEnd>(&op)) {
      for (const auto& [a, b] : end->swaps) std::swap(execution.slots[a], execution.slots[b]);
      if (++counters[end->depth] < std::get<RepeatBegin>(plan.ops[end->begin]).count)
        at = end->begin;
    }
  }
  for (size_t i = 0; i < plan.swapped.size(); ++i) execution.slots[plan.swapped[i]] = plan.kept[i];
}

}  // namespace kernelwright::runtime

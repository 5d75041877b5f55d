// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/walk.h"

#include <algorithm>

#include "program/limits.h"

namespace kernelwright::cuda {
namespace {

Status bind_map(const Driver& driver, MapParam& map, Ptr address, LaunchOp& op) {
  auto found = std::find(map.addresses.begin(), map.addresses.end(), address);
  auto at = static_cast<size_t>(found - map.addresses.begin());
  if (found == map.addresses.end()) {
    at = map.next;
    map.addresses[at] = 0;  // not valid until encoded
    if (auto status = encode_tensor_map(driver, map.spec, address, map.blobs[at]); !status)
      return fail(std::move(status.error()).with("kernel", op.kernel).with("step", op.place));
    map.addresses[at] = address;
    map.next = (at + 1) % MapParam::kKept;
  }
  op.params[map.param] = &map.blobs[at];
  return {};
}

Status bind_args(const Driver& driver, LaunchOp& op, const std::vector<Ptr>& slots,
                 const double* scalars, const int64_t* counters) {
  for (const auto& pointer : op.pointers)
    op.words[pointer.word] = slots[pointer.ref.slot] + static_cast<Ptr>(pointer.ref.offset);
  for (const auto& patch : op.scalars)
    op.words[patch.word] =
        static_cast<uint64_t>(runtime::scalar_value(patch.dtype, scalars[patch.scalar]).i64);
  for (const auto& patch : op.steps)
    op.words[patch.word] =
        static_cast<uint64_t>(runtime::counter_value(patch.dtype, counters[patch.depth]).i64);
  for (MapParam& map : op.maps)
    KW_CHECK_OK(bind_map(driver, map, slots[map.ref.slot] + static_cast<Ptr>(map.ref.offset), op));
  return {};
}

Status walk_ops(const Driver& driver, Plan& plan, std::vector<Ptr>& slots, const double* scalars,
                Sink& sink) {
  int64_t counters[program::kMaxRepeatDepth] = {};
  for (size_t at = 0; at < plan.ops.size(); ++at) {
    Op& op = plan.ops[at];
    if (auto* launch = std::get_if<LaunchOp>(&op)) {
      if (sink.skip(op)) continue;
      KW_CHECK_OK(bind_args(driver, *launch, slots, scalars, counters));
      KW_CHECK_OK(sink.launch(*launch));
    } else if (auto* step = std::get_if<MoveStep>(&op)) {
      if (sink.skip(op)) continue;
      Ptr to = slots[step->to.slot] + static_cast<Ptr>(step->to.offset);
      Ptr from = step->fill ? 0 : slots[step->from.slot] + static_cast<Ptr>(step->from.offset);
      KW_CHECK_OK(sink.move(*step, to, from));
    } else if (auto* begin = std::get_if<runtime::RepeatBegin>(&op)) {
      counters[begin->depth] = 0;
    } else if (auto* end = std::get_if<runtime::RepeatEnd>(&op)) {
      for (const auto& [a, b] : end->swaps) std::swap(slots[a], slots[b]);
      if (++counters[end->depth] < std::get<runtime::RepeatBegin>(plan.ops[end->begin]).count)
        at = end->begin;
    }
  }
  return {};
}

Error at(Error error, const MoveStep& step) {
  return std::move(error).with("step", step.place);
}

}  // namespace

Status walk(const Driver& driver, Plan& plan, std::vector<Ptr>& slots, const double* scalars,
            Sink& sink) {
  for (size_t i = 0; i < plan.swapped.size(); ++i) plan.kept[i] = slots[plan.swapped[i]];
  Status status = walk_ops(driver, plan, slots, scalars, sink);
  for (size_t i = 0; i < plan.swapped.size(); ++i) slots[plan.swapped[i]] = plan.kept[i];
  return status;
}

void set_addresses(MoveStep& step, Ptr to, Ptr from) {
  step.move.args.to = to;
  step.move.args.from = from;
}

Status StreamSink::launch(LaunchOp& op) {
  LaunchConfig config = op.config;
  config.stream = stream_;
  config.attributes = op.attributes.data();
  config.attribute_count = static_cast<unsigned>(op.attributes.size());
  // What ran before the first launch of a call is not ours: it must be complete.
  if (op.pdl && !after_launch_) --config.attribute_count;
  after_launch_ = true;
  Code code = driver_.launch_kernel.raw(&config, op.function, op.params.data(), nullptr);
  if (code == kSuccess) [[likely]]
    return {};
  return fail(call_error(driver_.launch_kernel.name, code)
                  .with("kernel", op.kernel)
                  .with("step", op.place));
}

Status StreamSink::move(MoveStep& step, Ptr to, Ptr from) {
  const MovePlan& move = step.move;
  auto count = static_cast<size_t>(move.bytes / move.element_bytes);
  after_launch_ = false;
  Status status;
  if (move.kind == MoveKind::kMemcpy) {
    status = driver_.memcpy_dtod_async(to, from, static_cast<size_t>(move.bytes), stream_);
  } else if (move.kind == MoveKind::kKernel) {
    set_addresses(step, to, from);
    void* params[] = {&step.move.args};
    LaunchConfig config;
    config.grid_x = move.blocks;
    config.block_x = kMoveThreads;
    config.stream = stream_;
    status = driver_.launch_kernel(&config, move_kernel_, params, nullptr);
  } else if (move.element_bytes == 4) {
    status = driver_.memset_d32_async(to, move.value, count, stream_);
  } else if (move.element_bytes == 2) {
    status = driver_.memset_d16_async(to, static_cast<unsigned short>(move.value), count, stream_);
  } else {
    status = driver_.memset_d8_async(to, static_cast<unsigned char>(move.value), count, stream_);
  }
  if (!status) return fail(at(std::move(status.error()), step));
  return {};
}

}  // namespace kernelwright::cuda

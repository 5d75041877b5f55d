// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/runtime/step_events.h"

#include <algorithm>

namespace kernelwright::cuda {

StepEvents::StepEvents(const Driver& driver, const Plan& plan) : driver_(driver) {
  for (const Op& op : plan.ops) {
    if (const auto* launch = std::get_if<LaunchOp>(&op)) steps_.push_back(launch);
    if (const auto* move = std::get_if<MoveStep>(&op)) steps_.push_back(move);
  }
}

StepEvents::~StepEvents() {
  for (Event event : events_) (void)driver_.event_destroy.raw(event);
}

Status StepEvents::record(Stream stream) {
  if (used_ == events_.size()) {
    Event event = nullptr;
    KW_CHECK_OK(driver_.event_create(&event, 0));
    events_.push_back(event);
  }
  return driver_.event_record(events_[used_++], stream);
}

Status StepEvents::begin(Stream stream) {
  used_ = 0;
  carried_.clear();
  return record(stream);
}

Status StepEvents::after(const void* step, Stream stream) {
  carried_.push_back(step);
  return record(stream);
}

Result<std::vector<double>> StepEvents::times() {
  std::vector<double> ms(steps_.size(), 0);
  if (used_ == 0) return ms;
  KW_CHECK_OK(driver_.event_synchronize(events_[used_ - 1]));
  for (size_t i = 0; i < carried_.size(); ++i) {
    float passed = 0;
    KW_CHECK_OK(driver_.event_elapsed_time(&passed, events_[i], events_[i + 1]));
    const auto at = std::find(steps_.begin(), steps_.end(), carried_[i]) - steps_.begin();
    ms.at(static_cast<size_t>(at)) += static_cast<double>(passed);
  }
  return ms;
}

Status ProfileSink::launch(LaunchOp& op) {
  KW_CHECK_OK(StreamSink::launch(op));
  return events_.after(&op, stream_);
}

Status ProfileSink::move(MoveStep& step, Ptr to, Ptr from) {
  KW_CHECK_OK(StreamSink::move(step, to, from));
  return events_.after(&step, stream_);
}

}  // namespace kernelwright::cuda

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "target/cuda/runtime/walk.h"

namespace kernelwright::cuda {

// Events between the steps of a plan, for the time of each. The context is current in every call,
// the destructor's included.
class StepEvents {
 public:
  StepEvents(const Driver& driver, const Plan& plan);
  StepEvents(const StepEvents&) = delete;
  ~StepEvents();

  // Before the first step of a call, and after each.
  Status begin(Stream stream);
  Status after(const void* step, Stream stream);
  // Waits; ms of each launch, fill and copy of the plan, iterations added up.
  Result<std::vector<double>> times();

 private:
  Status record(Stream stream);

  const Driver& driver_;
  std::vector<const void*> steps_;    // the plan's launches and moves
  std::vector<const void*> carried_;  // as carried out since begin()
  std::vector<Event> events_;         // one more than carried_, and what earlier calls needed
  size_t used_ = 0;
};

// Issues steps with an event after each, so that none overlaps the next.
class ProfileSink : public StreamSink {
 public:
  ProfileSink(const Driver& driver, Stream stream, Function move_kernel, StepEvents& events)
      : StreamSink(driver, stream, move_kernel), events_(events) {}
  Status launch(LaunchOp& op) override;
  Status move(MoveStep& step, Ptr to, Ptr from) override;

 private:
  StepEvents& events_;
};

}  // namespace kernelwright::cuda

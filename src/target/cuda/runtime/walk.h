// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "target/cuda/runtime/plan.h"

namespace kernelwright::cuda {

// What is done with each launch, fill and copy of a plan: launched, recorded, or written into a
// graph. Called in the plan's order, once per iteration of a repeat.
class Sink {
 public:
  virtual ~Sink() = default;
  // True: the step is passed over without working out its arguments.
  virtual bool skip(const Op&) { return false; }
  virtual Status launch(LaunchOp& op) = 0;
  virtual Status move(MoveStep& step, Ptr to, Ptr from) = 0;
};

// Walks a plan. `slots` is the address table, one per buffer; repeats may exchange entries, and
// they are put back at the end. Allocates nothing.
Status walk(const Driver& driver, Plan& plan, std::vector<Ptr>& slots, const double* scalars,
            Sink& sink);

// Issues steps on a stream. A pdl launch is one only where the step before it in the same call was
// a launch.
class StreamSink : public Sink {
 public:
  StreamSink(const Driver& driver, Stream stream, Function move_kernel)
      : driver_(driver), stream_(stream), move_kernel_(move_kernel) {}
  Status launch(LaunchOp& op) override;
  Status move(MoveStep& step, Ptr to, Ptr from) override;

 protected:
  const Driver& driver_;
  Stream stream_;

 private:
  Function move_kernel_;
  bool after_launch_ = false;
};

// The move kernel's parameter for these addresses.
void set_addresses(MoveStep& step, Ptr to, Ptr from);

}  // namespace kernelwright::cuda

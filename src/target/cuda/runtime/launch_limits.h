// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "target/cuda/runtime/plan.h"

namespace kernelwright::cuda {

// Fits launches to the device, one after the other: checks what the driver would refuse in fewer
// words, sets the kernels' shared memory and cluster attributes, and works out grids that are given
// as resident blocks per multiprocessor.
class LaunchLimits {
 public:
  LaunchLimits(const Driver& driver, const DeviceInfo& device) : driver_(driver), device_(device) {}

  // `op` has kernel, config and attributes (their cluster in `cluster`, all 1 when none); the grid
  // is set from `resident_per_sm` when that is positive.
  Status fit(LaunchOp& op, const KernelFunction& kernel, const unsigned (&cluster)[3],
             bool cooperative, int resident_per_sm) const;
  // Compares the sizes of `op.params` with the kernel's parameters where the driver tells them.
  Status check_params(const LaunchOp& op, const KernelFunction& kernel,
                      const std::vector<size_t>& bytes) const;

 private:
  Status shared_memory(const LaunchOp& op, const KernelFunction& kernel) const;

  const Driver& driver_;
  const DeviceInfo& device_;
};

}  // namespace kernelwright::cuda

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "target/machine_model.h"

namespace kernelwright::expert::cuda {

// What predictions take from the machine model, with an H100's figures where it says nothing.
class Machine {
 public:
  explicit Machine(const target::MachineModel& model) : model_(model) {}

  // Measured by copying: read plus written.
  double bytes_per_s() const { return or_else(model_.memory_bytes_per_s(), 3.0e12); }
  double cached_bytes_per_s() const { return 2 * bytes_per_s(); }
  int64_t cache_bytes() const {
    const int64_t bytes = model_.last_level_cache_bytes();
    return bytes > 0 ? bytes : 50 << 20;
  }
  // Of plain multiply-adds; tensor cores do not count.
  double flops_per_s(graph::DType dtype) const {
    double best = 0;
    for (const auto& rate : model_.rates) {
      if (rate.unit == "fma" && rate.dtype == dtype) best = std::max(best, rate.flops_per_s);
    }
    return or_else(best, dtype == graph::DType::kF64 ? 30e12 : 60e12);
  }
  // Of tensor cores on bf16, as measured; a kernel that does more than multiply stays below.
  double bf16_flops_per_s() const {
    return or_else(model_.rate("bf16", graph::DType::kBF16), 650e12);
  }
  // The copy engine, clusters and products of warpgroups.
  bool hopper() const { return model_.capability == 90; }
  // Plain instructions of single threads, all multiprocessors together.
  double instructions_per_s() const { return flops_per_s(graph::DType::kF32) / 2; }
  int multiprocessors() const { return model_.multiprocessors > 0 ? model_.multiprocessors : 132; }
  // Shared memory of a multiprocessor; what is left to one block where the model says nothing.
  int64_t shared_bytes() const { return model_.shared_bytes > 0 ? model_.shared_bytes : 48 << 10; }
  // Blocks that share their memory: Hopper and Blackwell, told by what a block may have of it.
  bool clusters() const { return model_.shared_bytes >= 200 << 10; }
  // One more kernel in a row of kernels.
  double launch_s() const { return or_else(model_.launch_s, 2e-6); }

 private:
  static double or_else(double value, double fallback) { return value > 0 ? value : fallback; }
  const target::MachineModel& model_;
};

}  // namespace kernelwright::expert::cuda

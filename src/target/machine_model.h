// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "graph/analysis.h"
#include "graph/tensor_type.h"
#include "target/policy.h"

namespace kernelwright::target {

// What a device can do at most, measured on the spot with all the threads in use.
struct MachineModel {
  struct Level {
    std::string name;   // "L1", "L2", "L3", "DRAM"
    int64_t bytes = 0;  // capacity over all threads; 0 for memory
    double read_bytes_per_s = 0;
    double copy_bytes_per_s = 0;  // read plus written
  };
  struct Rate {
    std::string unit;  // "fma"; tensor cores: "tf32", "fp16", "bf16", "fp8" (dtype u8)
    graph::DType dtype = graph::DType::kF32;
    double flops_per_s = 0;  // a multiply-add counts 2
  };
  std::string target;
  std::string device;
  std::string identity;  // changes when a measurement would no longer hold
  int threads = 0;
  int vector_bytes = 0;
  std::vector<Level> levels;  // nearest first
  std::vector<Rate> rates;
  int multiprocessors = 0;   // GPU
  int64_t shared_bytes = 0;  // GPU: shared memory of one block at most
  double clock_hz = 0;       // GPU: as the driver says; 0: unknown
  int capability = 0;        // GPU: compute capability, 90 for 9.0; 0: unknown
  double launch_s = 0;       // one launch over all threads that does nothing
  std::string measured_at;   // ISO date

  // Highest rate at which results of that type may come about under the policy; 0 when unknown.
  // Under `strict`, f32 may be split into three products of tensor cores; `tf32`, `bf16` and `fp16`
  // let them take f32 as it is.
  double peak(graph::DType dtype, Policy policy = Policy::kStrict) const;
  double rate(const std::string& unit, graph::DType dtype) const;  // 0 when unknown
  double memory_bytes_per_s() const;                               // copy rate of the last level
  int64_t last_level_cache_bytes() const;
  graph::Ceilings ceilings(graph::DType dtype, Policy policy = Policy::kStrict) const;
  // Seconds below which no honest measurement can lie: arithmetic at the peak, and what exceeds
  // twice the last-level cache (which may keep a call's traffic) at the memory's rate, both with 25
  // % for the error of the ceilings themselves. Well below the speed of light of work that fits the
  // caches.
  double floor_seconds(const graph::Work& work, graph::DType dtype,
                       Policy policy = Policy::kStrict) const;
  // Takes the better of each figure: both were measured on this machine.
  void raise_to(const MachineModel& other);
};

std::string machine_model_json(const MachineModel& model);
Result<MachineModel> parse_machine_model(const std::string& json);
std::string machine_model_table(const MachineModel& model);  // for people

}  // namespace kernelwright::target

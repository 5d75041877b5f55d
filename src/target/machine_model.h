// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "graph/analysis.h"
#include "graph/tensor_type.h"

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
    std::string unit;  // "fma"
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
  double launch_s = 0;      // one launch over all threads that does nothing
  std::string measured_at;  // ISO date

  double peak(graph::DType dtype) const;  // 0 when unknown
  double memory_bytes_per_s() const;      // copy rate of the last level
  int64_t last_level_cache_bytes() const;
  graph::Ceilings ceilings(graph::DType dtype) const;
  // Seconds below which no honest measurement can lie: arithmetic at the peak, and what exceeds
  // twice the last-level cache (which may keep a call's traffic) at the memory's rate, both with 25
  // % for the error of the ceilings themselves. Well below the speed of light of work that fits the
  // caches.
  double floor_seconds(const graph::Work& work, graph::DType dtype) const;
};

std::string machine_model_json(const MachineModel& model);
Result<MachineModel> parse_machine_model(const std::string& json);
std::string machine_model_table(const MachineModel& model);  // for people

}  // namespace kernelwright::target

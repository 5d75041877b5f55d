// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/stage.h"

namespace kernelwright::graph {

// Work of a region: arithmetic operations by kind of unit, and the fewest bytes that must cross the
// memory: every input, weight and state read once, every output written once.
struct Work {
  double contraction_flops = 0;  // multiply-adds of sums of products, 2 each
  double other_flops = 0;        // all other arithmetic, transcendental functions counted 1
  double bytes = 0;
};

// What a region computes in: f64 as soon as one of its tensors is that wide, else f32.
DType compute_dtype(const std::vector<StageTensor>& tensors);

Work count_work(const StageGraph& graph);
Work count_stage_work(const StageGraph& graph, const Stage& stage);

// Machine ceilings that a bound needs; filled from the machine model (target/machine_model.h).
struct Ceilings {
  double bytes_per_s = 0;
  double flops_per_s = 0;  // of the dtype and policy at hand
};

// Speed of light of a region, in seconds: the larger of bytes / bandwidth and FLOP / peak.
struct SpeedOfLight {
  double seconds = 0;
  double memory_s = 0;
  double compute_s = 0;
  const char* bound = "memory";  // or "compute"
};
SpeedOfLight speed_of_light(const Work& work, const Ceilings& ceilings);

}  // namespace kernelwright::graph

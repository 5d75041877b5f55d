// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "graph/tensor_type.h"

namespace kernelwright::referee {

// Every number that a verdict hangs on, in one table. The noise unit is the problem's own rounding
// noise (docs/numerics.md); what the numbers mean: docs/referee.md. Never per op.
struct Tolerances {
  // rho(candidate) <= factor * rho(eager) + slack
  double rms_factor = 2, rms_slack = 1;
  double max_factor = 2, max_slack = 8;
  // An answer of few elements says little about its own noise (four runs estimate it): both slacks
  // grow.
  int64_t few_elements = 64;
  double few_factor = 8;
  // Exact draws: |difference| below this, so that a wrong index cannot pass as rounding.
  double exact_difference = 0.25;
  // KernelBench's own test, reported beside: |p - eager| <= t + t * |eager|.
  double allclose_full = 1e-4, allclose_half = 1e-2;
  // "Faster" means that the lower bound of the speed-up is above this.
  double noticeable = 1.01;
  double confidence = 0.95;
  // A time below this share of the speed of light is a fault of ours or a cheat. The machine model
  // is measured, so it has noise of its own.
  double light_share = 0.5;
  // A worker's claimed cold time must be at least this share of the warm time per call that the
  // coordinator saw by its own clock.
  double audit_share = 0.5;
};
inline constexpr Tolerances kTolerances;

inline double allclose_tolerance(graph::DType dtype) {
  return dtype == graph::DType::kF16 || dtype == graph::DType::kBF16 ? kTolerances.allclose_half
                                                                     : kTolerances.allclose_full;
}

}  // namespace kernelwright::referee

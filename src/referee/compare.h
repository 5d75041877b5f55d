// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "referee/elements.h"

namespace kernelwright::referee {

// One answer (an output, or a state after the call) in host memory; contiguous arrays of
// type.elements() each.
struct Answer : AnswerRules {
  const std::byte* eager = nullptr;
  const double* oracle = nullptr;  // the module in fp64
  const double* scale = nullptr;   // rounding noise per element, in absolute units
  const uint8_t* mask = nullptr;   // 1: not judged; null: all judged
};

std::unique_ptr<Elements> host_elements(const Answer& answer);

Distance measure(const std::byte* values, const Answer& answer);

// judge_answer() over host memory. `eager` is measure(answer.eager, answer), made once per draw.
Comparison compare(const std::byte* candidate, const Answer& answer, const Distance& eager);

// Element `index` as a number, whatever the dtype.
double element(const std::byte* values, graph::DType dtype, int64_t index);
}  // namespace kernelwright::referee

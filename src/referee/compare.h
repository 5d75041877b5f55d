// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "graph/tensor_type.h"
#include "referee/verdict.h"

namespace kernelwright::referee {

// One answer (an output, or a state after the call) as the coordinator holds it; contiguous arrays
// of type.elements() each.
struct Answer {
  graph::TensorType type;
  const std::byte* eager = nullptr;
  const double* oracle = nullptr;  // the module in fp64
  const double* scale = nullptr;   // rounding noise per element, in absolute units
  const uint8_t* mask = nullptr;   // 1: not judged; null: all judged
  bool exact_draw = false;         // small integers: the right result is an integer
  bool exact_bits = false;         // moves and integer results: equal to eager
  bool index_output = false;       // positions: the oracle's or eager's, ties are masked
};

// How far an array lies from the oracle, over the judged elements where both are finite.
struct Distance {
  ErrorFigures figures;
  int64_t worst = -1;  // element with the largest rho
  int64_t judged = 0;
  double largest_difference = 0;  // |p - o|
  int64_t unmatched =
      -1;  // first element that is not finite where oracle and eager are, or the reverse
};
Distance measure(const std::byte* values, const Answer& answer);

// Outcome of judging one answer. The reason names the first wrong element with expected and got.
struct Comparison {
  bool accepted = false;
  std::string reason;
  ErrorFigures candidate, eager;
};

// `eager` is measure(answer.eager, answer), made once per draw.
Comparison compare(const std::byte* candidate, const Answer& answer, const Distance& eager);

// Element `index` as a number, whatever the dtype.
double element(const std::byte* values, graph::DType dtype, int64_t index);
// "[3,17]" of a row-major position.
std::string position_text(const graph::Shape& shape, int64_t index);

}  // namespace kernelwright::referee

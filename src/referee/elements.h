// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "graph/tensor_type.h"
#include "referee/judge_math.h"
#include "referee/verdict.h"

namespace kernelwright::referee {

// What kind of answer it is, and so which rules judge it (docs/referee.md).
struct AnswerRules {
  graph::TensorType type;
  bool exact_draw = false;    // small integers: the right result is an integer
  bool exact_bits = false;    // moves and integer results: equal to eager
  bool index_output = false;  // positions: the oracle's or eager's, ties are masked
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

// Elements that break a rule.
struct Wrong {
  int64_t index = -1;  // the first
  int64_t count = 0;
};

// The elements of one answer with what is known of each: eager's value, the oracle's, the noise
// scale. Walks over them where they lie, in host memory or on a GPU; `values` is a candidate's
// answer in the same place.
class Elements {
 public:
  struct Element {
    double candidate = 0, eager = 0, oracle = 0;
    // Of 64-bit integers: what a double cannot tell apart beyond 2^53.
    std::optional<int64_t> candidate_integer = std::nullopt, eager_integer = std::nullopt;
  };
  explicit Elements(AnswerRules rules) : rules_(std::move(rules)) {}
  virtual ~Elements() = default;
  const AnswerRules& rules() const { return rules_; }

  virtual Result<Distance> measure(const std::byte* values) const = 0;
  virtual Result<Distance> measure_eager() const = 0;
  virtual Result<Wrong> find(const std::byte* values, Rule rule, double limit) const = 0;
  virtual Result<Element> at(const std::byte* values, int64_t index) const = 0;

 private:
  AnswerRules rules_;
};

// Outcome of judging one answer. The reason names the first wrong element with expected and got, of
// real numbers the worst; kPrecision stands before it where all are close.
struct Comparison {
  bool accepted = false;
  std::string reason;
  ErrorFigures candidate, eager;
};

// `eager` is measure_eager(), made once per draw. A failure is our own, never the candidate's.
Result<Comparison> judge_answer(const std::byte* candidate, const Elements& elements,
                                const Distance& eager);

// "[3,17]" of a row-major position.
std::string position_text(const graph::Shape& shape, int64_t index);

}  // namespace kernelwright::referee

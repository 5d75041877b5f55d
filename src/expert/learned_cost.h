// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "expert/schedule.h"

namespace kernelwright::expert {

// What a whole program is made of, as the learner sees it: family and schedule of each op.
struct Made {
  struct Part {
    std::string family;
    Schedule schedule;
    bool operator==(const Part&) const = default;
  };
  std::vector<Part> parts;
  bool operator==(const Made&) const = default;
};

// Corrects the machine model by what was measured: Gaussian process regression (Rasmussen and
// Williams, 2006, algorithm 2.1) of log(measured / predicted). Programs are alike as far as their
// ops have the same family, the same knobs one by one, and all knobs at once, an octave of a knob
// making e^(-1/2); so what was measured speaks for its surroundings, and far from it the model
// keeps its word.
class LearnedCost {
 public:
  // `weights`: how much each op counts, by its predicted time.
  explicit LearnedCost(std::vector<double> weights);

  // Other weights, once it is measured what each op takes.
  void weigh(std::vector<double> weights);
  // A later measurement takes the place of an earlier one; of very many the latest are kept.
  void learn(const Made& made, double predicted_s, double measured_s);
  // Whether enough was measured for corrected() to mean something.
  bool ready() const;
  // `predicted_s` corrected; as it is before ready().
  double corrected(const Made& made, double predicted_s) const;
  // Factor by which one op made like this changes corrected(), for comparing ways to make it.
  double correction_of(size_t op, const Made::Part& part) const;

 private:
  double likeness(const Made& a, const Made& b) const;
  void solve();

  std::vector<double> weights_;
  std::vector<std::pair<Made, double>> measured_;  // with log(measured / predicted)
  double mean_ = 0;                                // of the logarithms
  std::vector<double> solution_;                   // per measured program
};

}  // namespace kernelwright::expert

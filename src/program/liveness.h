// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "program/program.h"

namespace kernelwright::program {

// Which buffers of `run` may be in use at the same time, and so must not share bytes. A whole
// top-level step counts as one moment: what a repeat touches lives through all of it, and names
// that trade places live as long as either.
//
// On the CPU steps run one after the other: two buffers are apart when the last step that touches
// one comes before the first that touches the other. On a GPU steps without a common buffer run
// side by side: there every step that touches the one must lead, through buffers that steps hand
// on, to every step that touches the other. Sharing bytes across branches would put them in a row.
class Liveness {
 public:
  explicit Liveness(const Program& program);

  struct Use {
    std::vector<uint32_t> steps;   // ascending
    std::vector<uint64_t> before;  // on a GPU: the steps that come before each of these, as bits
  };
  // Null: no step touches the buffer.
  const Use* find(const std::string& buffer) const;
  bool overlap(const Use& a, const Use& b) const { return !precedes(a, b) && !precedes(b, a); }

 private:
  bool precedes(const Use& a, const Use& b) const;

  std::map<std::string, Use> uses_;
  bool branching_ = false;
};

}  // namespace kernelwright::program

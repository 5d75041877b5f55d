// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "program/program.h"
#include "referee/draw_source.h"

namespace kernelwright::tests {

// A small module spelled out in C++: stands in for the torch worker, so that programs are judged in
// milliseconds. Values are doubles; `evaluate` computes in fp64 (the oracle) or in fp32 steps
// (eager).
struct SmallOp {
  using Values = std::vector<double>;
  struct Call {
    std::vector<Values> inputs;
    std::map<std::string, Values> weights, states;
    std::vector<double> scalars;
    bool in_float = false;  // round every intermediate to fp32
    double round(double value) const {
      return in_float ? static_cast<double>(static_cast<float>(value)) : value;
    }
  };
  struct Results {
    std::vector<Values> outputs;
    std::map<std::string, Values> states;
  };

  std::string name;
  program::Interface interface;
  Results (*evaluate)(const Call&) = nullptr;
  bool exact = true;        // an exact draw makes sense (integers in, integers out)
  bool exact_bits = false;  // outputs must equal eager
  bool index_output = false;
  int scalars = 0;
};

const std::vector<SmallOp>& small_ops();
const SmallOp& small_op(const std::string& name);  // throws std::out_of_range

// Baselines are said to take `baseline_ms`.
std::unique_ptr<referee::DrawSource> small_op_source(const SmallOp& op, double baseline_ms = 1000);

}  // namespace kernelwright::tests

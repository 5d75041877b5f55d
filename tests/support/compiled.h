// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/interpreter.h"
#include "graph/stage.h"
#include "program/parse.h"
#include "target/machine_model.h"

namespace kernelwright::testing {

// Builds stage graphs by hand.
class Stages {
 public:
  graph::StageGraph graph;
  int input(graph::Shape shape, graph::DType dtype = graph::DType::kF32);
  int weight(graph::Shape shape, graph::DType dtype = graph::DType::kF32);
  int temporary(graph::Shape shape, graph::DType dtype = graph::DType::kF32);
  int output(graph::Shape shape, graph::DType dtype = graph::DType::kF32);
  void define(int tensor, graph::Expr body);
  void reduce(int tensor, graph::Combiner combiner, std::vector<int64_t> extents, graph::Expr body,
              graph::Expr finish = nullptr);

 private:
  int add(graph::Shape shape, graph::DType dtype, graph::TensorRole role, int index);
  int inputs_ = 0, outputs_ = 0, weights_ = 0;
};

// Load of an f32 tensor at some axes.
graph::Expr at(int tensor, const std::vector<int>& axes);
graph::Expr at_index(int tensor, std::vector<graph::Expr> index);

// One program and the graph that it should compute.
struct Case {
  std::string name;
  const graph::StageGraph* graph = nullptr;
  program::Candidate candidate;
  std::map<int, graph::HostTensor> bindings = {};  // by tensor; random where there is none
  double tolerance = 0;                            // 0: the caller's
};

// Compiles all candidates (of one target) as one object, runs each by a plain interpreter of the
// launch plan on small random inputs and compares the outputs with graph::interpret(). CPU: two
// workers in turn, odd ranges. CUDA: kernels are emulated (support/cuda_emulation). Returns one
// line per failure.
enum class On : uint8_t { kThis, kArm };  // kArm: an emulated one (arm.h)
std::vector<std::string> run_and_compare(const std::vector<Case>& cases, double tolerance = 2e-5,
                                         On machine = On::kThis);

target::MachineModel plain_machine(const std::string& target = "cpu");

}  // namespace kernelwright::testing

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "program/program.h"

namespace kernelwright::program {

// A program's buffers with their sizes worked out; what every later check looks buffers up in.
// Building it checks the buffers one by one and throws Malformed.
class BufferTable {
 public:
  struct Entry {
    const Buffer* buffer = nullptr;
    int index = 0;                    // in Program::buffers
    graph::Shape shape;               // empty unless typed
    std::optional<int64_t> elements;  // absent unless typed
  };

  explicit BufferTable(const Program& program);

  const Program& program() const { return program_; }
  // Throws Malformed at `place` when there is none.
  const Entry& at(const std::string& name, const std::string& place) const;
  size_t size() const { return by_name_.size(); }

  // A size expression's value within low..high; throws Malformed at `place`.
  int64_t value(const SizeExpr& expr, const std::string& place, int64_t low, int64_t high) const;
  // Checks that a view lies inside its buffer.
  void check_view(const std::string& buffer, const View& view, const std::string& place) const;

 private:
  const Program& program_;
  std::map<std::string, Entry> by_name_;
};

// Least and greatest value of an integer dtype that a double holds exactly; bool is 0..1.
std::pair<double, double> integer_range(graph::DType dtype);

}  // namespace kernelwright::program

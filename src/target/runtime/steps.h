// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "graph/tensor_type.h"
#include "kernelwright/kernel_abi.h"
#include "program/program.h"

// What the runtimes of all targets share: steps of a validated program with everything worked out
// that does not change from call to call.
namespace kernelwright::runtime {

// Where an argument points: a slot of the pointer table (one per buffer) and a byte offset into it.
struct SlotRef {
  uint32_t slot = 0;
  int64_t offset = 0;
};

// A copy or a fill of a box of elements; extents and byte strides are outermost first, the
// innermost `run_bytes` are contiguous on both sides.
struct MoveOp {
  bool fill = false;
  SlotRef to, from;
  std::vector<int64_t> extents, to_strides, from_strides;
  int64_t runs = 1;  // product of extents
  int64_t run_bytes = 0;
  int64_t pattern_bytes = 0;  // fill: one element
  unsigned char pattern[8] = {};
};

struct RepeatBegin {
  int64_t count = 0;
  uint32_t depth = 0;
};
struct RepeatEnd {
  uint32_t begin = 0;  // index of the RepeatBegin
  uint32_t depth = 0;
  std::vector<std::pair<uint32_t, uint32_t>> swaps;
};

// Reads the parts of steps that mean the same on every target.
class StepReader {
 public:
  explicit StepReader(const program::Program& program);

  const program::Program& program() const { return program_; }
  uint32_t slot(const std::string& buffer) const { return slots_.at(buffer); }
  Result<int64_t> value(const program::SizeExpr& expr) const {
    return program::evaluate(expr, program_.params);
  }
  Result<std::vector<int64_t>> values(const std::vector<program::SizeExpr>& list) const;
  Result<SlotRef> slot_ref(const std::string& buffer,
                           const std::optional<program::View>& view) const;
  // Bytes of the buffer that a whole buffer or a view of it spans: [first, last). last is -1 for a
  // whole buffer whose size the program does not say.
  Result<std::pair<int64_t, int64_t>> span(const std::string& buffer,
                                           const std::optional<program::View>& view) const;

  Result<kw_value> immediate(const program::ImmediateArg& arg) const;
  Result<MoveOp> fill(const program::Fill& fill) const;
  Result<MoveOp> copy(const program::Copy& copy) const;
  std::vector<std::pair<uint32_t, uint32_t>> swaps(const program::Repeat& repeat) const;

 private:
  struct Box;
  Result<Box> box(const std::string& buffer, const std::optional<program::View>& view) const;

  const program::Program& program_;
  std::map<std::string, uint32_t> slots_;
};

// A scalar input or a step counter as an argument of `dtype` (i32, i64, f32, f64).
kw_value scalar_value(graph::DType dtype, double value);
kw_value counter_value(graph::DType dtype, int64_t value);

// An element of `dtype` with this value, as bytes in memory.
void encode_element(double value, graph::DType dtype, unsigned char* out);

}  // namespace kernelwright::runtime

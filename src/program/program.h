// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "graph/tensor_type.h"

namespace kernelwright::program {

// An integer that may be an expression over `params`: + - * / % ( ), ceil_div(a,b), min, max. Kept
// as text; numbers are their own text.
struct SizeExpr {
  std::string text;
  bool operator==(const SizeExpr&) const = default;
};
SizeExpr size(int64_t value);
// Value under `params`; kInput on an unknown name, division by zero, overflow, or |value| > 2^48.
Result<int64_t> evaluate(const SizeExpr& expr, const std::map<std::string, int64_t>& params);

enum class BufferRole { kInput, kWeight, kOutput, kPacked, kScratch, kSync, kState, kTable };
const char* role_name(BufferRole role);

struct Buffer {
  std::string name;
  BufferRole role = BufferRole::kScratch;
  int index = -1;      // kInput, kOutput
  std::string weight;  // kWeight, kState: state_dict name
  graph::DType dtype = graph::DType::kF32;
  std::vector<SizeExpr>
      shape;                  // inputs, weights, outputs: given by the region, checked when written
  bool typed = false;         // dtype and shape were written
  std::vector<double> table;  // kTable: the values
  bool operator==(const Buffer&) const = default;
};

enum class Access { kRead, kWrite, kReadWrite };

// Part of a buffer: offset and strides in elements.
struct View {
  SizeExpr offset;
  std::vector<SizeExpr> shape;
  std::vector<SizeExpr> strides;  // empty: contiguous
  bool operator==(const View&) const = default;
};

// A CUDA tensor map (CUtensorMap), encoded by the runtime at bind time.
struct TensorMap {
  std::vector<SizeExpr> shape, strides_bytes, box, element_strides;
  std::string interleave, swizzle, l2_promotion, fill;
  std::vector<SizeExpr> im2col_lower, im2col_upper;  // empty: tiled
  std::optional<SizeExpr> channels_per_pixel, pixels_per_column;
  std::optional<graph::DType> dtype;  // absent: the buffer's
  bool operator==(const TensorMap&) const = default;
};

struct BufferArg {
  std::string buffer;
  Access access = Access::kRead;
  std::optional<View> view;
  std::optional<TensorMap> tensor_map;
  bool operator==(const BufferArg&) const = default;
};
struct ImmediateArg {
  graph::DType dtype = graph::DType::kI64;  // i32, i64, f32, f64
  std::variant<SizeExpr, double> value;     // a SizeExpr for i32 and i64
  bool operator==(const ImmediateArg&) const = default;
};
struct ScalarInputArg {
  int index = 0;
  graph::DType dtype = graph::DType::kF32;
  bool operator==(const ScalarInputArg&) const = default;
};
struct StepCounterArg {  // the iteration of the innermost `repeat`
  graph::DType dtype = graph::DType::kI64;
  bool operator==(const StepCounterArg&) const = default;
};
struct LocalArg {  // OpenCL and Metal: bytes of local memory
  SizeExpr bytes;
  bool operator==(const LocalArg&) const = default;
};
using Arg = std::variant<BufferArg, ImmediateArg, ScalarInputArg, StepCounterArg, LocalArg>;

inline constexpr const char* kLibraryStep = "library";  // the key of such a step

struct Launch {
  std::string kernel;
  std::vector<SizeExpr> grid;          // 1 to 3 extents; a CPU kernel sees their product
  std::optional<int> resident_per_sm;  // instead of grid
  std::vector<SizeExpr> block, cluster;
  SizeExpr shared_bytes;  // empty text: 0
  bool cooperative = false, pdl = false;
  bool team = false;       // CPU: all workers together, with a barrier
  SizeExpr scratch_bytes;  // CPU: per worker
  SizeExpr grain;          // CPU: fewest grid points per range; empty: chosen by the runtime
  std::vector<Arg> args;
  bool operator==(const Launch&) const = default;
};
struct Fill {
  std::string buffer;
  double value = 0;
  std::optional<View> view;
  bool operator==(const Fill&) const = default;
};
struct Copy {
  std::string from, to;
  std::optional<View> from_view, to_view;
  bool operator==(const Copy&) const = default;
};
struct Step;
struct Repeat {
  SizeExpr count;
  std::vector<Step> body;
  std::vector<std::pair<std::string, std::string>> swap;  // after every iteration
  bool operator==(const Repeat& other) const;
};
struct LibraryCall {  // trusted routine, e.g. "matmul"; never counted as generated
  std::string routine;
  std::vector<Arg> args;
  std::map<std::string, std::string> options;
  bool operator==(const LibraryCall&) const = default;
};
// Copied and compared out of line: whoever holds a program would compile all kinds of steps anew.
struct Step {
  using Action = std::variant<Launch, Fill, Copy, Repeat, LibraryCall>;
  Action action;

  Step();
  Step(Action what);
  Step(const Step&);
  Step(Step&&) noexcept;
  Step& operator=(const Step&);
  Step& operator=(Step&&) noexcept;
  ~Step();
  bool operator==(const Step&) const;
};

// The one candidate format. docs/program-format.md is its reference.
struct Program {
  int format = 1;
  std::string target;  // "cpu", "cuda"
  std::string arch;
  std::string source;  // file name inside the candidate's folder
  std::vector<std::string> flags;
  std::map<std::string, int64_t> params;
  std::vector<std::string> requires_features;
  std::vector<Buffer> buffers;  // in the order written
  std::vector<Step> prepare;
  std::vector<Step> run;

  const Buffer* find(const std::string& name) const;
  bool operator==(const Program&) const = default;
};

// Kernels that the steps launch, in order, bodies of `repeat` once.
std::vector<std::string> launched_kernels(const std::vector<Step>& steps);
// Where each launch, fill and copy stands and what it is, in order, bodies of `repeat` once:
// "run[2].body[0] softmax". `place` is the list that the steps are in.
std::vector<std::string> step_names(const std::vector<Step>& steps, const std::string& place);
// Launches, fills, copies and library calls when the steps are carried out once.
int64_t count_actions(const std::vector<Step>& steps, const std::map<std::string, int64_t>& params);

// Shape and dtype of what a region hands to a program; what the program's buffers are checked
// against.
struct Interface {
  struct Slot {
    std::string name;  // weight or state name; empty for inputs and outputs
    graph::TensorType type;
  };
  std::vector<Slot> inputs, weights, outputs, states;
};

}  // namespace kernelwright::program

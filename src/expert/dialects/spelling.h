// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "graph/expr.h"
#include "graph/tensor_type.h"

namespace kernelwright::expert::code {

// The scalar type in which an evaluation computes its reals.
enum class Real : uint8_t { kF32, kF64 };

// How a C-like language writes what it does not share with the others. Everything else (statements,
// the kw_* functions and storage types of the device headers) is spelled the same.
struct Spelling {
  const char* f32_infinity;
  const char* f64_infinity;
  const char* f32_nan;
  const char* f64_nan;
  const char* least_int;  // of 64 bits
  const char* most_int;
  // Integers made of axes and constants alone: "int64_t", or "int" where all of them fit.
  const char* index;
};

const Spelling& cpp_spelling();
const Spelling& cuda_spelling(bool narrow_index);

const char* c_type(graph::DType dtype);  // storage type: "float", "kw_bf16", "int64_t", ...
const char* real_type(Real real);
const char* value_type(graph::ScalarKind kind, Real real);  // "float", "int64_t", "bool"

// Literal of a real value in the computing type; infinities and NaN included.
std::string real_literal(double value, Real real, const Spelling& spelling);
// Converts between the computing type and a stored element.
std::string from_stored(const std::string& element, graph::DType dtype, graph::ScalarKind kind,
                        Real real);
std::string to_stored(const std::string& value, graph::DType dtype, graph::ScalarKind kind);

// f64 when any tensor or cast of the expressions is f64.
Real computing_type(const std::vector<graph::Expr>& expressions,
                    const std::vector<graph::DType>& stored,
                    const std::vector<graph::TensorType>& tensors);

// Whether an integer expression consists of axes and constants, so that its range follows from the
// axes' extents.
bool is_index(const graph::Expr& expr);
// Whether every such expression inside `expr`, with all its parts, fits 32 bits.
bool fits_int32(const graph::Expr& expr, const std::vector<int64_t>& extents);

}  // namespace kernelwright::expert::code

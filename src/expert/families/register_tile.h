// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "expert/dialects/spelling.h"
#include "expert/family.h"

namespace kernelwright::expert {

// The innermost loop of products on the CPU: C[mr][nv vectors] (+)= sum over k of A[r] * B[vector],
// all of C in registers. Distances in elements. With `pairs`, operands are bf16, two neighbours in
// k beside each other, and AVX512-BF16 multiplies and adds a pair at a time (in f32, denormals
// taken for zero); vectors have 64 bytes, and distances count pairs as two elements.
struct RegisterTile {
  code::Real real = code::Real::kF32;
  int64_t lanes = 1;  // elements per vector
  int64_t mr = 1, nv = 1;
  int64_t row_a = 1, step_a = 1;  // to A's next row, to its next k
  int64_t step_b = 1;             // to B's next k
  int64_t row_c = 1;
  bool pairs = false;
  bool table = false;  // B's next k by a table instead of a distance
};

// Name of the vector type that the source of a tile `name` defines: unaligned, may alias.
std::string vector_type(const std::string& name);
// "void name(a, b, c, depth, first)": adds `depth` products to c, or with `first` puts them there.
// With `pairs` depth is even. With `table` there is a last argument: an int for every k, how far
// its vectors of B are from b.
std::string register_tile_source(const std::string& name, const RegisterTile& tile);
// Whether accumulators and operands fit the vector registers.
bool fits_registers(const OpContext& context, int64_t mr, int64_t nv);

// Multiply-adds of one vector that a worker makes per second at its peak.
double vector_rate(const OpContext& context, bool wide, int64_t lanes);
// Predicted seconds of one step of k, and of moving a finished sum to C.
double tile_step_seconds(int64_t mr, int64_t nv, double vector_rate);
double tile_store_seconds(int64_t mr, int64_t nv, double vector_rate);

}  // namespace kernelwright::expert

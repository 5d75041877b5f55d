// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "graph/expr.h"

namespace kernelwright::graph {

// What every operator means on numbers; constant folding and the interpreter share it. Integers
// wrap; integer division by zero gives 0 (PyTorch raises; a generated kernel may do anything), a
// shift by a number of bits outside [0, 64) too, but a negative number shifted right stays
// negative.
double apply_real(ExprOp op, double value);
double apply_real(ExprOp op, double left, double right);    // arithmetic
bool compare_real(ExprOp op, double left, double right);    // kLt .. kNe
int64_t apply_int(ExprOp op, int64_t value);                // kNeg, kAbs, kNot
int64_t apply_int(ExprOp op, int64_t left, int64_t right);  // comparisons give 0 or 1

bool is_unary(ExprOp op);
bool is_comparison(ExprOp op);
bool is_bitwise(ExprOp op);
const char* op_name(ExprOp op);  // "exp", "+", "floordiv"

// The value as a tensor of `dtype` would hold it: rounded for floats (nearest even), truncated and
// wrapped for integers, != 0 for bool. NaN and infinity become 0 in an integer.
double round_to(DType dtype, double value);
int64_t truncate_to(DType dtype, double value);
int64_t wrap_to(DType dtype, int64_t value);

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/expr.h"

namespace kernelwright::graph {

// The language in which the op table states pointwise ops:
//   numbers, inf, nan, pi, true, false; operands by name; attributes as $name
//   c ? a : b   || && !   < <= > >= == !=   + - * / // %   unary -   ( )
//   neg abs exp expm1 log log1p log2 sqrt rsqrt sin cos tan tanh erf softplus floor ceil round
//   trunc isnan min(a, b), max(a, b), fmod(a, b), pow(a, b), atan2(a, b); of integers bitand(a, b),
//   bitor(a, b), bitxor(a, b), shl(a, bits), shr(a, bits); casts by dtype name: f32(x), i64(x),
//   bool(x) given($name): whether an attribute is not None; $name == 'text' compares a string
//   attribute
// `//` and `%` are floor division and its remainder.
struct ScalarScope {
  // An operand, or (attribute) the number behind $name; a None may be any number, as it stands
  // behind given().
  std::function<Result<Expr>(const std::string& name, bool attribute)> lookup;
  std::function<bool(const std::string& name)> given;
  std::function<std::string(const std::string& name)> string_attribute;
};

Result<Expr> parse_scalar(std::string_view text, const ScalarScope& scope);

// Names of the operands in order of first use, attributes left out.
std::vector<std::string> scalar_operands(std::string_view text);

}  // namespace kernelwright::graph

// SPDX-License-Identifier: Apache-2.0
#include "expert/dialects/reduce.h"

#include <fmt/format.h>

#include <limits>

namespace kernelwright::expert::code {

using graph::Combiner;
using graph::ScalarKind;

std::string identity(Combiner combiner, ScalarKind kind, Real real, const Spelling& spelling) {
  const double infinity = std::numeric_limits<double>::infinity();
  switch (combiner) {
    case Combiner::kProd:
      return kind == ScalarKind::kReal ? real_literal(1, real, spelling) : "1";
    case Combiner::kMax:
    case Combiner::kArgMax:
      if (kind == ScalarKind::kReal) return real_literal(-infinity, real, spelling);
      return kind == ScalarKind::kBool ? "false" : spelling.least_int;
    case Combiner::kMin:
    case Combiner::kArgMin:
      if (kind == ScalarKind::kReal) return real_literal(infinity, real, spelling);
      return kind == ScalarKind::kBool ? "true" : spelling.most_int;
    case Combiner::kAny:
      return "false";
    case Combiner::kAll:
      return "true";
    default:
      return kind == ScalarKind::kReal ? real_literal(0, real, spelling) : "0";
  }
}

std::string combine(Combiner combiner, const std::string& a, const std::string& b) {
  switch (combiner) {
    case Combiner::kProd:
      return fmt::format("{} * {}", a, b);
    case Combiner::kMax:
      return fmt::format("kw_max({}, {})", a, b);
    case Combiner::kMin:
      return fmt::format("kw_min({}, {})", a, b);
    case Combiner::kAny:
      return fmt::format("{} | {}", a, b);
    case Combiner::kAll:
      return fmt::format("{} & {}", a, b);
    default:
      return fmt::format("{} + {}", a, b);
  }
}

bool is_arg(Combiner combiner) {
  return combiner == Combiner::kArgMax || combiner == Combiner::kArgMin;
}

std::string takes_over(Combiner combiner, const std::string& value, const std::string& best) {
  const char* sign = combiner == Combiner::kArgMax ? ">" : "<";
  return fmt::format("{1} == {1} && ({0} {2} {1} || {0} != {0})", value, best, sign);
}

}  // namespace kernelwright::expert::code

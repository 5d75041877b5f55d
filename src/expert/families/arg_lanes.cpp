// SPDX-License-Identifier: Apache-2.0
#include "expert/families/arg_lanes.h"

#include <fmt/format.h>

namespace kernelwright::expert {

namespace {

const char* better(graph::Combiner combiner) {
  return combiner == graph::Combiner::kArgMax ? ">" : "<";
}

}  // namespace

// Without branches, so that it vectorizes.
std::string offer_to_lane(graph::Combiner combiner, size_t j, const std::string& value,
                          const std::string& place) {
  return fmt::format(
      "{{ const auto v = {1}, best = acc{0}[l]; const bool take = (best == best) & ((v {3} best) | "
      "(v != v)); acc{0}[l] = take ? v : best; place{0}[l] = take ? (int32_t)({2}) : "
      "place{0}[l]; }}",
      j, value, place, better(combiner));
}

std::string offer_lane(graph::Combiner combiner, size_t j) {
  return fmt::format(
      "{{ const auto v = acc{0}[l + h], best = acc{0}[l]; const int32_t there = place{0}[l + h], "
      "here = place{0}[l]; const bool alike = (v == best) | ((v != v) & (best != best)); const "
      "bool take = ((best == best) & ((v {1} best) | (v != v))) | (alike & (there < here)); "
      "acc{0}[l] = take ? v : best; place{0}[l] = take ? there : here; }}",
      j, better(combiner));
}

}  // namespace kernelwright::expert

// SPDX-License-Identifier: Apache-2.0
#include "referee/elements.h"

#include <fmt/format.h>

#include <algorithm>

#include "referee/tolerance.h"

namespace kernelwright::referee {
namespace {

// An error up to this many times its limit is called a matter of precision; a wrong index or
// formula is off by thousands of times as a rule.
constexpr double kPrecisionShare = 64;

Result<std::string> wrong_text(const std::byte* values, const Elements& elements,
                               const Wrong& wrong, int64_t shown, const std::string& rule,
                               bool expect_eager) {
  const graph::TensorType& type = elements.rules().type;
  KW_TRY(const Elements::Element at, elements.at(values, shown));
  const auto text = [](double value, std::optional<int64_t> integer) {
    return integer ? fmt::format("{}", *integer) : fmt::format("{:.9g}", value);
  };
  return fmt::format(
      "at {} expected {}, got {} ({} of {} elements wrong{}{}{})", position_text(type.shape, shown),
      expect_eager ? text(at.eager, at.eager_integer) : text(at.oracle, std::nullopt),
      text(at.candidate, at.candidate_integer), wrong.count, type.elements(),
      shown == wrong.index ? "" : ", the first at " + position_text(type.shape, wrong.index),
      rule.empty() ? "" : "; ", rule);
}

}  // namespace

std::string position_text(const graph::Shape& shape, int64_t index) {
  std::string text;
  for (size_t d = shape.size(); d-- > 0;) {
    const int64_t extent = std::max<int64_t>(shape[d], 1);
    text = fmt::format("{}{}{}", index % extent, text.empty() ? "" : ",", text);
    index /= extent;
  }
  return "[" + text + "]";
}

Result<Comparison> judge_answer(const std::byte* candidate, const Elements& elements,
                                const Distance& eager) {
  const AnswerRules& rules = elements.rules();
  Comparison result;
  result.eager = eager.figures;
  KW_TRY(const Distance distance, elements.measure(candidate));
  result.candidate = distance.figures;
  // Finds what breaks the rule and says so. Positions and bits are judged by that alone; the other
  // rules are known to be broken.
  auto settle = [&](Rule rule, double limit, const std::string& words,
                    bool expect_eager) -> Result<Comparison> {
    KW_TRY(Wrong wrong, elements.find(candidate, rule, limit));
    result.accepted = wrong.count == 0 && (rule == Rule::kIndex || rule == Rule::kExactBits);
    if (wrong.index < 0) wrong.index = std::max<int64_t>(distance.worst, 0);
    if (!result.accepted) {
      // Beside one that was never written, the first may be off by rounding alone.
      const int64_t shown =
          rule == Rule::kNoise && distance.worst >= 0 ? distance.worst : wrong.index;
      KW_TRY(result.reason, wrong_text(candidate, elements, wrong, shown, words, expect_eager));
    }
    return result;
  };

  if (rules.index_output) return settle(Rule::kIndex, 0, "index", true);
  if (rules.exact_bits || !graph::is_float(rules.type.dtype))
    return settle(Rule::kExactBits, 0, "must equal eager exactly", true);
  if (distance.unmatched >= 0)
    return settle(Rule::kClass, 0, "NaN and infinity must match eager or the oracle", false);
  // Where eager itself misses the integer (a low-precision policy), the draw is judged by noise.
  const double exact = kTolerances.exact_difference;
  if (rules.exact_draw && eager.largest_difference < exact && eager.unmatched < 0 &&
      distance.largest_difference >= exact)
    return settle(Rule::kInteger, exact, "on integers, where the result is exact", false);

  const double few = eager.judged < kTolerances.few_elements ? kTolerances.few_factor : 1;
  const double limit_rms =
      kTolerances.rms_factor * eager.figures.rho_rms + kTolerances.rms_slack * few;
  const double limit_max =
      kTolerances.max_factor * eager.figures.rho_max + kTolerances.max_slack * few;
  if (distance.figures.rho_max > limit_max) {
    KW_TRY(result, settle(Rule::kNoise, limit_max,
                          fmt::format("error {:.3g} times the rounding noise, limit {:.3g}",
                                      distance.figures.rho_max, limit_max),
                          false));
    if (distance.figures.rho_max <= kPrecisionShare * limit_max)
      result.reason = std::string(kPrecision) + result.reason;
    return result;
  }
  if (distance.figures.rho_rms > limit_rms) {
    KW_TRY(const Elements::Element worst, elements.at(candidate, distance.worst));
    result.reason = fmt::format(
        "{}rms error {:.3g} times the rounding noise, limit {:.3g} (eager {:.3g}); worst "
        "at {} expected {:.9g}, got {:.9g}",
        kPrecision, distance.figures.rho_rms, limit_rms, eager.figures.rho_rms,
        position_text(rules.type.shape, distance.worst), worst.oracle, worst.candidate);
    return result;
  }
  result.accepted = true;
  return result;
}

}  // namespace kernelwright::referee

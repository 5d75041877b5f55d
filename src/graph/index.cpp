// SPDX-License-Identifier: Apache-2.0
// Index arithmetic of expr.h: affine form and simplification by ranges.
#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "graph/expr.h"
#include "graph/scalar_ops.h"

namespace kernelwright::graph {
namespace {

__extension__ using Wide = __int128;

struct Range {
  int64_t low = 0, high = 0;
};

// Sum of coefficient * atom + constant. An atom is an axis or an integer expression that is no such
// sum itself.
struct Linear {
  struct Term {
    Expr atom;
    int64_t coefficient = 0;
  };
  std::vector<Term> terms;
  int64_t constant = 0;
};

int64_t floor_div(int64_t a, int64_t b) {
  return apply_int(ExprOp::kFloorDiv, a, b);
}
int64_t floor_mod(int64_t a, int64_t b) {
  return apply_int(ExprOp::kMod, a, b);
}

bool constant_divisor(const ExprNode& e) {
  const Expr& divisor = e.operands[1];
  return divisor->op == ExprOp::kConst && divisor->kind == ScalarKind::kInt &&
         divisor->int_value > 0;
}

class Simplifier {
 public:
  explicit Simplifier(const std::vector<int64_t>& extents) : extents_(extents) {}

  bool overflowed() const { return overflow_; }

  Expr simplify(const Expr& e) {
    auto found = done_.find(e);
    if (found != done_.end()) return found->second;
    Expr result = e->kind == ScalarKind::kInt ? to_expr(linear(e)) : simplify_other(e);
    done_.emplace(e, result);
    return result;
  }

  Linear linear(const Expr& e) {
    switch (e->op) {
      case ExprOp::kConst:
        return number(e->int_value);
      case ExprOp::kAxis:
        return extent_of(e->axis) == 1 ? number(0) : atom(e);
      case ExprOp::kAdd:
        return sum(linear(e->operands[0]), linear(e->operands[1]), 1);
      case ExprOp::kSub:
        return sum(linear(e->operands[0]), linear(e->operands[1]), -1);
      case ExprOp::kNeg:
        return scale(linear(e->operands[0]), -1);
      case ExprOp::kMul: {
        Linear a = linear(e->operands[0]), b = linear(e->operands[1]);
        if (a.terms.empty()) return scale(std::move(b), a.constant);
        if (b.terms.empty()) return scale(std::move(a), b.constant);
        return atom(binary(ExprOp::kMul, to_expr(a), to_expr(b)));
      }
      case ExprOp::kFloorDiv:
        if (constant_divisor(*e)) return divide(linear(e->operands[0]), e->operands[1]->int_value);
        break;
      case ExprOp::kMod:
        if (constant_divisor(*e))
          return remainder(linear(e->operands[0]), e->operands[1]->int_value);
        break;
      case ExprOp::kMin:
      case ExprOp::kMax:
        return extremum(e);
      default:
        break;
    }
    Expr rebuilt = simplify_other(e);
    return rebuilt->op == ExprOp::kConst ? number(rebuilt->int_value) : atom(rebuilt);
  }

 private:
  static Linear number(int64_t value) { return Linear{{}, value}; }
  static Linear atom(const Expr& e) { return Linear{{{e, 1}}, 0}; }

  int64_t extent_of(int index) const {
    return static_cast<size_t>(index) < extents_.size() ? extents_[static_cast<size_t>(index)] : -1;
  }

  int64_t times(int64_t a, int64_t b) {
    int64_t out = 0;
    overflow_ = __builtin_mul_overflow(a, b, &out) || overflow_;
    return out;
  }
  int64_t plus(int64_t a, int64_t b) {
    int64_t out = 0;
    overflow_ = __builtin_add_overflow(a, b, &out) || overflow_;
    return out;
  }

  Linear scale(Linear a, int64_t factor) {
    if (factor == 0) return number(0);
    for (auto& term : a.terms) term.coefficient = times(term.coefficient, factor);
    a.constant = times(a.constant, factor);
    return a;
  }

  void add_term(Linear& into, const Expr& e, int64_t coefficient) {
    if (coefficient == 0) return;
    for (size_t i = 0; i < into.terms.size(); ++i) {
      if (!same(into.terms[i].atom, e)) continue;
      into.terms[i].coefficient = plus(into.terms[i].coefficient, coefficient);
      if (into.terms[i].coefficient == 0)
        into.terms.erase(into.terms.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
    into.terms.push_back({e, coefficient});
  }

  Linear sum(Linear a, const Linear& b, int64_t factor) {
    for (const auto& term : b.terms) add_term(a, term.atom, times(term.coefficient, factor));
    a.constant = plus(a.constant, times(b.constant, factor));
    return recombine(std::move(a));
  }

  // (x / c) * (k c) + (x % c) * k is k x.
  Linear recombine(Linear a) {
    for (const auto& quotient : a.terms) {
      if (quotient.atom->op != ExprOp::kFloorDiv || !constant_divisor(*quotient.atom)) continue;
      const int64_t c = quotient.atom->operands[1]->int_value;
      for (const auto& rest : a.terms) {
        if (rest.atom->op != ExprOp::kMod || !constant_divisor(*rest.atom)) continue;
        if (rest.atom->operands[1]->int_value != c ||
            times(rest.coefficient, c) != quotient.coefficient)
          continue;
        if (!same(rest.atom->operands[0], quotient.atom->operands[0])) continue;
        Linear out = number(a.constant);
        for (const auto& term : a.terms)
          if (&term != &quotient && &term != &rest) add_term(out, term.atom, term.coefficient);
        return sum(std::move(out), scale(linear(rest.atom->operands[0]), rest.coefficient), 1);
      }
    }
    return a;
  }

  std::optional<Range> range(const Linear& a) {
    Wide low = a.constant, high = a.constant;
    for (const auto& term : a.terms) {
      auto r = range(term.atom);
      if (!r) return std::nullopt;
      const Wide k = term.coefficient;
      low += k > 0 ? k * r->low : k * r->high;
      high += k > 0 ? k * r->high : k * r->low;
    }
    constexpr Wide kLimit = std::numeric_limits<int64_t>::max() / 4;
    if (low < -kLimit || high > kLimit) return std::nullopt;
    return Range{static_cast<int64_t>(low), static_cast<int64_t>(high)};
  }

  // Range of an expression that is simplified already.
  std::optional<Range> range(const Expr& e) {
    switch (e->op) {
      case ExprOp::kConst:
        return Range{e->int_value, e->int_value};
      case ExprOp::kAxis: {
        const int64_t extent = extent_of(e->axis);
        if (extent < 0) return std::nullopt;
        return Range{0, std::max<int64_t>(extent, 1) - 1};
      }
      case ExprOp::kFloorDiv: {
        if (!constant_divisor(*e)) return std::nullopt;
        auto r = range(linear(e->operands[0]));
        const int64_t c = e->operands[1]->int_value;
        if (!r) return std::nullopt;
        return Range{floor_div(r->low, c), floor_div(r->high, c)};
      }
      case ExprOp::kMod:
        if (!constant_divisor(*e)) return std::nullopt;
        return Range{0, e->operands[1]->int_value - 1};
      case ExprOp::kMin:
      case ExprOp::kMax: {
        auto a = range(linear(e->operands[0])), b = range(linear(e->operands[1]));
        if (!a || !b) return std::nullopt;
        if (e->op == ExprOp::kMin)
          return Range{std::min(a->low, b->low), std::min(a->high, b->high)};
        return Range{std::max(a->low, b->low), std::max(a->high, b->high)};
      }
      case ExprOp::kSelect: {
        if (e->operands[1]->kind != ScalarKind::kInt || e->operands[2]->kind != ScalarKind::kInt)
          return std::nullopt;
        auto a = range(linear(e->operands[1])), b = range(linear(e->operands[2]));
        if (!a || !b) return std::nullopt;
        return Range{std::min(a->low, b->low), std::max(a->high, b->high)};
      }
      case ExprOp::kAdd:
      case ExprOp::kSub:
      case ExprOp::kNeg:
        return range(linear(e));
      default:
        return std::nullopt;
    }
  }

  // Splits a sum for a divisor c by some g that divides c: terms that are multiples of g, divided
  // by g, and the rest, which stays within [0, g). Then floor(sum / c) = floor(big / (c/g)).
  bool split(const Linear& a, int64_t c, int64_t& g, Linear& big, Linear& small) {
    for (const auto& candidate : a.terms) {
      g = std::gcd(c, candidate.coefficient);
      if (g <= 1) continue;
      big = number(floor_div(a.constant, g));
      small = number(floor_mod(a.constant, g));
      for (const auto& term : a.terms) {
        if (term.coefficient % g == 0)
          add_term(big, term.atom, term.coefficient / g);
        else
          add_term(small, term.atom, term.coefficient);
      }
      auto r = range(small);
      if (r && r->low >= 0 && r->high < g) return true;
    }
    return false;
  }

  Linear divide(Linear a, int64_t c) {
    if (c == 1) return a;
    Linear whole = number(floor_div(a.constant, c)), rest = number(floor_mod(a.constant, c));
    for (const auto& term : a.terms) {
      add_term(whole, term.atom, term.coefficient / c);
      add_term(rest, term.atom, term.coefficient % c);
    }
    if (auto r = range(rest); r && floor_div(r->low, c) == floor_div(r->high, c)) {
      whole.constant = plus(whole.constant, floor_div(r->low, c));
      return recombine(std::move(whole));
    }
    int64_t g = 0;
    Linear big, small;
    if (split(rest, c, g, big, small))
      return sum(std::move(whole), divide(std::move(big), c / g), 1);
    if (rest.terms.size() == 1 && rest.terms[0].coefficient == 1 && rest.constant == 0) {
      const Expr inner = rest.terms[0].atom;
      if (inner->op == ExprOp::kFloorDiv && constant_divisor(*inner) &&
          inner->operands[1]->int_value < (int64_t{1} << 31) && c < (int64_t{1} << 31))
        return sum(std::move(whole),
                   divide(linear(inner->operands[0]), inner->operands[1]->int_value * c), 1);
    }
    return sum(std::move(whole), atom(binary(ExprOp::kFloorDiv, to_expr(rest), integer(c))), 1);
  }

  Linear remainder(const Linear& a, int64_t c) {
    if (c == 1) return number(0);
    Linear rest = number(floor_mod(a.constant, c));
    for (const auto& term : a.terms) add_term(rest, term.atom, term.coefficient % c);
    if (auto r = range(rest); r && floor_div(r->low, c) == floor_div(r->high, c)) {
      rest.constant = plus(rest.constant, -times(floor_div(r->low, c), c));
      return recombine(rest);
    }
    int64_t g = 0;
    Linear big, small;
    if (split(rest, c, g, big, small)) return sum(scale(remainder(big, c / g), g), small, 1);
    if (rest.terms.size() == 1 && rest.terms[0].coefficient == 1 && rest.constant == 0) {
      const Expr inner = rest.terms[0].atom;
      if (inner->op == ExprOp::kMod && constant_divisor(*inner) &&
          inner->operands[1]->int_value % c == 0)
        return remainder(linear(inner->operands[0]), c);
    }
    return atom(binary(ExprOp::kMod, to_expr(rest), integer(c)));
  }

  // Remembered: a chain of extremes (a reduction written out) asks for its inner ones again and
  // again.
  Linear extremum(const Expr& e) {
    if (auto found = extremes_.find(e); found != extremes_.end()) return found->second;
    Linear out = settled_extremum(e);
    extremes_.emplace(e, out);
    if (out.terms.size() == 1 && out.terms[0].coefficient == 1 && out.constant == 0)
      extremes_.emplace(out.terms[0].atom, out);
    return out;
  }

  Linear settled_extremum(const Expr& e) {
    if (e->operands[0]->kind != ScalarKind::kInt || e->operands[1]->kind != ScalarKind::kInt)
      return atom(simplify_other(e));
    Linear a = linear(e->operands[0]), b = linear(e->operands[1]);
    if (auto gap = range(sum(a, b, -1))) {
      if (gap->high <= 0) return e->op == ExprOp::kMin ? a : b;
      if (gap->low >= 0) return e->op == ExprOp::kMin ? b : a;
    }
    return atom(binary(e->op, to_expr(a), to_expr(b)));
  }

  Expr to_expr(const Linear& a) {
    std::vector<Linear::Term> terms = a.terms;
    std::stable_sort(terms.begin(), terms.end(), [](const auto& x, const auto& y) {
      auto rank = [](const Linear::Term& t) {
        return std::pair(t.coefficient < 0, t.atom->op == ExprOp::kAxis ? t.atom->axis : 1 << 20);
      };
      return rank(x) < rank(y);
    });
    Expr out;
    for (const auto& term : terms) {
      const bool minus =
          out && term.coefficient < 0 && term.coefficient != std::numeric_limits<int64_t>::min();
      Expr product = term.atom * integer(minus ? -term.coefficient : term.coefficient);
      out = !out ? product : minus ? out - product : out + product;
    }
    if (!out) return integer(a.constant);
    if (a.constant < 0 && a.constant != std::numeric_limits<int64_t>::min())
      return out - integer(-a.constant);
    return out + integer(a.constant);
  }

  // Comparisons of integers that the ranges decide, and everything that is no index arithmetic.
  Expr simplify_other(const Expr& e) {
    if (e->operands.empty()) return e;
    if (e->op == ExprOp::kSelect) {
      Expr condition = simplify(e->operands[0]);
      return select(condition, simplify(e->operands[1]), simplify(e->operands[2]));
    }
    std::vector<Expr> operands;
    for (const auto& operand : e->operands) operands.push_back(simplify(operand));
    if (is_comparison(e->op) && operands[0]->kind == ScalarKind::kInt &&
        operands[1]->kind == ScalarKind::kInt) {
      auto gap = range(sum(linear(operands[0]), linear(operands[1]), -1));
      if (gap) {
        const bool always_less = gap->high < 0, always_greater = gap->low > 0;
        const bool at_most = gap->high <= 0, at_least = gap->low >= 0;
        switch (e->op) {
          case ExprOp::kLt:
            if (always_less || at_least) return boolean(always_less);
            break;
          case ExprOp::kLe:
            if (at_most || always_greater) return boolean(at_most);
            break;
          case ExprOp::kGt:
            if (always_greater || at_most) return boolean(always_greater);
            break;
          case ExprOp::kGe:
            if (at_least || always_less) return boolean(at_least);
            break;
          case ExprOp::kEq:
            if (always_less || always_greater) return boolean(false);
            break;
          case ExprOp::kNe:
            if (always_less || always_greater) return boolean(true);
            break;
          default:
            break;
        }
      }
    }
    switch (e->op) {
      case ExprOp::kLoad:
        return load(e->tensor, e->kind, std::move(operands));
      case ExprOp::kCast:
        return cast(e->dtype, operands[0]);
      default:
        return is_unary(e->op) ? unary(e->op, operands[0])
                               : binary(e->op, operands[0], operands[1]);
    }
  }

  const std::vector<int64_t>& extents_;
  std::unordered_map<Expr, Expr> done_;  // keys hold their nodes alive
  std::unordered_map<Expr, Linear> extremes_;
  bool overflow_ = false;
};

}  // namespace

std::optional<Affine> as_affine(const Expr& index, int axis_count) {
  if (index->kind != ScalarKind::kInt) return std::nullopt;
  const std::vector<int64_t> unknown;
  Simplifier simplifier(unknown);
  Linear linear = simplifier.linear(index);
  if (simplifier.overflowed()) return std::nullopt;
  Affine out;
  out.coefficients.assign(static_cast<size_t>(axis_count), 0);
  out.constant = linear.constant;
  for (const auto& term : linear.terms) {
    if (term.atom->op != ExprOp::kAxis || term.atom->axis >= axis_count) return std::nullopt;
    out.coefficients[static_cast<size_t>(term.atom->axis)] = term.coefficient;
  }
  return out;
}

Expr simplify_index(const Expr& index, const std::vector<int64_t>& extents) {
  Simplifier simplifier(extents);
  Expr result = simplifier.simplify(index);
  return simplifier.overflowed() ? index : result;
}

}  // namespace kernelwright::graph

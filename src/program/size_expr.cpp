// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>

#include "program/limits.h"
#include "program/program.h"

namespace kernelwright::program {
namespace {

// Holds the sum or product of any two values within the limit.
__extension__ typedef __int128 Wide;

using Params = std::map<std::string, int64_t>;

// expression := term (('+'|'-') term)*; term := factor (('*'|'/'|'%') factor)*
// factor := '-' factor | number | name | function '(' expression ',' expression ')' | '('
// expression ')' The first problem is kept in `problem_`; values after it mean nothing.
class Evaluator {
 public:
  Evaluator(const std::string& text, const Params& params) : text_(text), params_(params) {}

  Result<int64_t> run() {
    int64_t value = expression(0);
    skip_space();
    if (problem_.empty() && at_ != text_.size())
      problem_ = fmt::format("unexpected '{}'", text_[at_]);
    if (!problem_.empty())
      return fail(ErrorKind::kInput,
                  fmt::format("size expression '{}': {}", text_.substr(0, 60), problem_));
    return value;
  }

 private:
  static constexpr int kMaxNesting = 32;

  int64_t expression(int depth) {
    int64_t left = term(depth);
    while (ok()) {
      if (accept('+'))
        left = bounded(static_cast<Wide>(left) + term(depth));
      else if (accept('-'))
        left = bounded(static_cast<Wide>(left) - term(depth));
      else
        break;
    }
    return left;
  }

  int64_t term(int depth) {
    int64_t left = factor(depth);
    while (ok()) {
      if (accept('*')) {
        left = bounded(static_cast<Wide>(left) * factor(depth));
      } else if (accept('/')) {
        left = divide(left, factor(depth), false);
      } else if (accept('%')) {
        left = divide(left, factor(depth), true);
      } else {
        break;
      }
    }
    return left;
  }

  int64_t factor(int depth) {
    if (depth > kMaxNesting) return stop("nested too deeply");
    skip_space();
    if (at_ == text_.size()) return stop("ends too early");
    if (accept('-')) return -factor(depth + 1);
    if (accept('(')) {
      int64_t value = expression(depth + 1);
      expect(')');
      return value;
    }
    char c = text_[at_];
    if (is_digit(c)) return number();
    if (is_name_start(c)) return name(depth);
    return stop(fmt::format("unexpected '{}'", c));
  }

  int64_t number() {
    int64_t value = 0;
    for (; at_ < text_.size() && is_digit(text_[at_]); ++at_)
      value = bounded(static_cast<Wide>(value) * 10 + (text_[at_] - '0'));
    return value;
  }

  int64_t name(int depth) {
    size_t from = at_;
    while (at_ < text_.size() && (is_name_start(text_[at_]) || is_digit(text_[at_]))) ++at_;
    std::string word = text_.substr(from, at_ - from);
    if (accept('(')) {
      int64_t a = expression(depth + 1);
      expect(',');
      int64_t b = expression(depth + 1);
      expect(')');
      if (word == "min") return std::min(a, b);
      if (word == "max") return std::max(a, b);
      if (word == "ceil_div") return ceil_div(a, b);
      return stop(fmt::format("unknown function '{}'", word));
    }
    auto it = params_.find(word);
    if (it == params_.end()) return stop(fmt::format("unknown param '{}'", word));
    return bounded(it->second);
  }

  int64_t divide(int64_t a, int64_t b, bool remainder) {
    if (!ok()) return 0;
    if (b == 0) return stop("division by zero");
    return remainder ? a % b : a / b;
  }

  int64_t ceil_div(int64_t a, int64_t b) {
    if (!ok()) return 0;
    if (b == 0) return stop("division by zero");
    int64_t quotient = a / b;
    bool exact = a % b == 0;
    return quotient + (!exact && (a < 0) == (b < 0) ? 1 : 0);
  }

  int64_t bounded(Wide value) {
    if (value > kMaxSize || value < -kMaxSize) return stop("larger than 2^48");
    return static_cast<int64_t>(value);
  }
  int64_t stop(std::string what) {
    if (problem_.empty()) problem_ = std::move(what);
    return 0;
  }
  bool ok() const { return problem_.empty(); }
  void skip_space() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (ok() && !accept(c)) stop(fmt::format("expected '{}'", c));
  }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }

  const std::string& text_;
  const Params& params_;
  size_t at_ = 0;
  std::string problem_;
};

}  // namespace

SizeExpr size(int64_t value) {
  return SizeExpr{std::to_string(value)};
}

Result<int64_t> evaluate(const SizeExpr& expr, const std::map<std::string, int64_t>& params) {
  if (expr.text.size() > kMaxExprBytes) return fail(ErrorKind::kInput, "size expression: too long");
  return Evaluator(expr.text, params).run();
}

}  // namespace kernelwright::program

// SPDX-License-Identifier: Apache-2.0
#include "graph/scalar_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

namespace kernelwright::graph {
namespace {

enum class Token : uint8_t { kEnd, kNumber, kName, kAttribute, kString, kSymbol };

struct Lexeme {
  Token token = Token::kEnd;
  std::string text;
  size_t at = 0;
};

tl::unexpected<Error> bad(std::string_view text, size_t at, const std::string& what) {
  return fail(ErrorKind::kInput, fmt::format("scalar expression \"{}\" at {}: {}", text, at, what));
}

bool name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}
bool digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c));
}

Result<std::vector<Lexeme>> lex(std::string_view text) {
  std::vector<Lexeme> out;
  size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    const size_t start = i;
    if (std::isspace(static_cast<unsigned char>(c))) {
      ++i;
      continue;
    }
    if (digit(c) || (c == '.' && i + 1 < text.size() && digit(text[i + 1]))) {
      while (i < text.size() &&
             (name_char(text[i]) || text[i] == '.' ||
              ((text[i] == '-' || text[i] == '+') && (text[i - 1] == 'e' || text[i - 1] == 'E'))))
        ++i;
      out.push_back({Token::kNumber, std::string(text.substr(start, i - start)), start});
    } else if (name_char(c) || c == '$') {
      ++i;
      while (i < text.size() && name_char(text[i])) ++i;
      std::string word(text.substr(start, i - start));
      if (c == '$')
        out.push_back({Token::kAttribute, word.substr(1), start});
      else
        out.push_back({Token::kName, word, start});
    } else if (c == '\'') {
      size_t end = text.find('\'', i + 1);
      if (end == std::string_view::npos) return bad(text, i, "string without an end");
      out.push_back({Token::kString, std::string(text.substr(i + 1, end - i - 1)), start});
      i = end + 1;
    } else {
      static constexpr std::string_view kPairs[] = {"||", "&&", "<=", ">=", "==", "!=", "//"};
      std::string symbol(1, c);
      for (auto pair : kPairs)
        if (text.substr(i, 2) == pair) symbol = pair;
      if (symbol.size() == 1 && std::string_view("?:<>!+-*/%(),").find(c) == std::string_view::npos)
        return bad(text, i, fmt::format("unexpected '{}'", c));
      i += symbol.size();
      out.push_back({Token::kSymbol, symbol, start});
    }
  }
  out.push_back({Token::kEnd, "the end", text.size()});
  return out;
}

struct Function {
  const char* name;
  ExprOp op;
  int arguments;
};
constexpr Function kFunctions[] = {
    {"neg", ExprOp::kNeg, 1},           {"abs", ExprOp::kAbs, 1},
    {"exp", ExprOp::kExp, 1},           {"expm1", ExprOp::kExpm1, 1},
    {"log", ExprOp::kLog, 1},           {"log1p", ExprOp::kLog1p, 1},
    {"log2", ExprOp::kLog2, 1},         {"sqrt", ExprOp::kSqrt, 1},
    {"rsqrt", ExprOp::kRsqrt, 1},       {"sin", ExprOp::kSin, 1},
    {"cos", ExprOp::kCos, 1},           {"tan", ExprOp::kTan, 1},
    {"tanh", ExprOp::kTanh, 1},         {"erf", ExprOp::kErf, 1},
    {"softplus", ExprOp::kSoftplus, 1}, {"floor", ExprOp::kFloor, 1},
    {"ceil", ExprOp::kCeil, 1},         {"round", ExprOp::kRound, 1},
    {"trunc", ExprOp::kTrunc, 1},       {"isnan", ExprOp::kIsNan, 1},
    {"min", ExprOp::kMin, 2},           {"max", ExprOp::kMax, 2},
    {"fmod", ExprOp::kFmod, 2},         {"pow", ExprOp::kPow, 2},
    {"atan2", ExprOp::kAtan2, 2},       {"bitand", ExprOp::kBitAnd, 2},
    {"bitor", ExprOp::kBitOr, 2},       {"bitxor", ExprOp::kBitXor, 2},
    {"shl", ExprOp::kShiftLeft, 2},     {"shr", ExprOp::kShiftRight, 2},
};

Expr named_constant(const std::string& name) {
  if (name == "inf") return constant(std::numeric_limits<double>::infinity());
  if (name == "nan") return constant(std::numeric_limits<double>::quiet_NaN());
  if (name == "pi") return constant(3.14159265358979323846);
  if (name == "true") return boolean(true);
  if (name == "false") return boolean(false);
  return nullptr;
}

class Parser {
 public:
  Parser(std::string_view text, std::vector<Lexeme> lexemes, const ScalarScope& scope)
      : text_(text), lexemes_(std::move(lexemes)), scope_(scope) {}

  Result<Expr> whole() {
    KW_TRY(Expr expr, ternary());
    if (peek().token != Token::kEnd) return unexpected();
    return expr;
  }

 private:
  const Lexeme& peek() const { return lexemes_[position_]; }
  bool accept(std::string_view symbol) {
    if (peek().token != Token::kSymbol || peek().text != symbol) return false;
    ++position_;
    return true;
  }
  tl::unexpected<Error> unexpected() const {
    return bad(text_, peek().at, fmt::format("unexpected {}", peek().text));
  }
  Status expect(std::string_view symbol) {
    if (!accept(symbol)) return bad(text_, peek().at, fmt::format("expected '{}'", symbol));
    return {};
  }

  Result<Expr> ternary() {
    if (++depth_ > 200) return bad(text_, peek().at, "nested too deeply");
    KW_TRY(Expr condition, level(0));
    if (accept("?")) {
      KW_TRY(Expr yes, ternary());
      KW_CHECK_OK(expect(":"));
      KW_TRY(Expr no, ternary());
      condition = select(condition, yes, no);
    }
    --depth_;
    return condition;
  }

  struct Operator {
    std::string_view symbol;
    ExprOp op;
  };

  // Binary operators, loosest first, all left-associative.
  Result<Expr> level(size_t rank) {
    static const std::vector<std::vector<Operator>> kLevels = {
        {{"||", ExprOp::kOr}},
        {{"&&", ExprOp::kAnd}},
        {{"<=", ExprOp::kLe},
         {">=", ExprOp::kGe},
         {"<", ExprOp::kLt},
         {">", ExprOp::kGt},
         {"==", ExprOp::kEq},
         {"!=", ExprOp::kNe}},
        {{"+", ExprOp::kAdd}, {"-", ExprOp::kSub}},
        {{"*", ExprOp::kMul}, {"//", ExprOp::kFloorDiv}, {"/", ExprOp::kDiv}, {"%", ExprOp::kMod}},
    };
    if (rank == kLevels.size()) return prefix();
    KW_TRY(Expr left, level(rank + 1));
    for (bool found = true; found;) {
      found = false;
      for (const auto& candidate : kLevels[rank]) {
        if (!accept(candidate.symbol)) continue;
        KW_TRY(Expr right, level(rank + 1));
        left = binary(candidate.op, left, right);
        found = true;
        break;
      }
    }
    return left;
  }

  Result<Expr> prefix() {
    if (++depth_ > 200) return bad(text_, peek().at, "nested too deeply");
    Result<Expr> out = prefix_inner();
    --depth_;
    return out;
  }

  Result<Expr> prefix_inner() {
    if (accept("-")) {
      KW_TRY(Expr value, prefix());
      return unary(ExprOp::kNeg, value);
    }
    if (accept("!")) {
      KW_TRY(Expr value, prefix());
      return unary(ExprOp::kNot, value);
    }
    return primary();
  }

  Result<Expr> primary() {
    const Lexeme here = peek();
    ++position_;
    switch (here.token) {
      case Token::kNumber:
        return number(here);
      case Token::kName:
        return name(here);
      case Token::kAttribute:
        if (peek().token == Token::kSymbol && (peek().text == "==" || peek().text == "!=") &&
            lexemes_[position_ + 1].token == Token::kString) {
          const bool equal = scope_.string_attribute(here.text) == lexemes_[position_ + 1].text;
          const bool wanted = peek().text == "==";
          position_ += 2;
          return boolean(equal == wanted);
        }
        return scope_.lookup(here.text, true);
      case Token::kSymbol:
        if (here.text == "(") {
          KW_TRY(Expr inner, ternary());
          KW_CHECK_OK(expect(")"));
          return inner;
        }
        [[fallthrough]];
      default:
        --position_;
        return unexpected();
    }
  }

  Result<Expr> number(const Lexeme& here) {
    const char* begin = here.text.data();
    const char* end = begin + here.text.size();
    if (here.text.find_first_of(".eE") == std::string::npos) {
      int64_t value = 0;
      auto [stop, code] = std::from_chars(begin, end, value);
      if (code != std::errc() || stop != end) return bad(text_, here.at, "not a number");
      return integer(value);
    }
    double value = 0;
    auto [stop, code] = std::from_chars(begin, end, value);
    if (code != std::errc() || stop != end) return bad(text_, here.at, "not a number");
    return constant(value);
  }

  Result<Expr> name(const Lexeme& here) {
    if (!accept("(")) {
      if (Expr known = named_constant(here.text)) return known;
      return scope_.lookup(here.text, false);
    }
    if (here.text == "given") {
      const Lexeme attribute = peek();
      if (attribute.token != Token::kAttribute && attribute.token != Token::kName)
        return bad(text_, attribute.at, "given() wants a name");
      ++position_;
      KW_CHECK_OK(expect(")"));
      return boolean(scope_.given(attribute.text));
    }
    std::vector<Expr> arguments;
    do {
      KW_TRY(Expr argument, ternary());
      arguments.push_back(std::move(argument));
    } while (accept(","));
    KW_CHECK_OK(expect(")"));
    if (auto dtype = dtype_from_name(here.text); dtype && arguments.size() == 1)
      return cast(*dtype, arguments[0]);
    for (const auto& function : kFunctions) {
      if (here.text != function.name) continue;
      if (static_cast<size_t>(function.arguments) != arguments.size())
        return bad(text_, here.at,
                   fmt::format("{} takes {} arguments", function.name, function.arguments));
      return function.arguments == 1 ? unary(function.op, arguments[0])
                                     : binary(function.op, arguments[0], arguments[1]);
    }
    return bad(text_, here.at, fmt::format("unknown function {}", here.text));
  }

  std::string_view text_;
  std::vector<Lexeme> lexemes_;
  const ScalarScope& scope_;
  size_t position_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<Expr> parse_scalar(std::string_view text, const ScalarScope& scope) {
  KW_TRY(std::vector<Lexeme> lexemes, lex(text));
  return Parser(text, std::move(lexemes), scope).whole();
}

std::vector<std::string> scalar_operands(std::string_view text) {
  std::vector<std::string> out;
  auto lexemes = lex(text);
  if (!lexemes) return out;
  for (size_t i = 0; i < lexemes->size(); ++i) {
    const Lexeme& here = (*lexemes)[i];
    if (here.token != Token::kName || named_constant(here.text)) continue;
    if ((*lexemes)[i + 1].token == Token::kSymbol && (*lexemes)[i + 1].text == "(") continue;
    if (std::find(out.begin(), out.end(), here.text) == out.end()) out.push_back(here.text);
  }
  return out;
}

}  // namespace kernelwright::graph

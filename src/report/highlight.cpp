// SPDX-License-Identifier: Apache-2.0
#include "report/highlight.h"

#include <algorithm>
#include <cctype>
#include <unordered_set>

#include "report/markup.h"

namespace kernelwright::report {
namespace {

const std::unordered_set<std::string_view> kKeywords = {"alignas",
                                                        "alignof",
                                                        "asm",
                                                        "auto",
                                                        "break",
                                                        "case",
                                                        "catch",
                                                        "class",
                                                        "const",
                                                        "constexpr",
                                                        "continue",
                                                        "decltype",
                                                        "default",
                                                        "delete",
                                                        "do",
                                                        "else",
                                                        "enum",
                                                        "explicit",
                                                        "extern",
                                                        "false",
                                                        "final",
                                                        "for",
                                                        "friend",
                                                        "goto",
                                                        "if",
                                                        "inline",
                                                        "mutable",
                                                        "namespace",
                                                        "new",
                                                        "noexcept",
                                                        "nullptr",
                                                        "null",
                                                        "operator",
                                                        "override",
                                                        "private",
                                                        "protected",
                                                        "public",
                                                        "register",
                                                        "requires",
                                                        "restrict",
                                                        "return",
                                                        "sizeof",
                                                        "static",
                                                        "struct",
                                                        "switch",
                                                        "template",
                                                        "this",
                                                        "throw",
                                                        "true",
                                                        "try",
                                                        "typedef",
                                                        "typename",
                                                        "union",
                                                        "using",
                                                        "virtual",
                                                        "volatile",
                                                        "while",
                                                        "consteval",
                                                        "constinit",
                                                        "concept",
                                                        "static_assert",
                                                        "static_cast",
                                                        "reinterpret_cast",
                                                        "const_cast",
                                                        "thread_local"};

const std::unordered_set<std::string_view> kTypes = {
    "void",    "bool",    "char",          "short",   "int",         "long",        "float",
    "double",  "signed",  "unsigned",      "half",    "half2",       "float2",      "float3",
    "float4",  "double2", "int2",          "int3",    "int4",        "uint2",       "uint3",
    "uint4",   "uchar4",  "dim3",          "kw_args", "CUtensorMap", "nv_bfloat16", "nv_bfloat162",
    "__half",  "__half2", "__nv_bfloat16", "__m128",  "__m256",      "__m512",      "__m128i",
    "__m256i", "__m512i", "__m128d",       "__m256d", "__m512d",     "__mmask8",    "__mmask16"};

const std::unordered_set<std::string_view> kProvided = {"threadIdx", "blockIdx",   "blockDim",
                                                        "gridDim",   "clusterDim", "warpSize"};

bool starts_name(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_';
}
bool in_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

class Highlighter {
 public:
  explicit Highlighter(std::string_view text) : text_(text) { out_.reserve(text.size() * 2); }

  std::string run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') {
        line_start_ = true;
        ++at_;
      } else if (c == '#' && line_start_) {
        take(directive_end(), 'p');
      } else if (looks_at("//")) {
        take(std::min(text_.find('\n', at_), text_.size()), 'c');
      } else if (looks_at("/*")) {
        take(after("*/", at_ + 2), 'c');
      } else if (c == '"' || c == '\'') {
        take(quoted_end(at_), 's');
      } else if (std::isdigit(static_cast<unsigned char>(c)) || (c == '.' && digit_at(at_ + 1))) {
        take(number_end(), 'n');
      } else if (starts_name(c)) {
        name();
      } else {
        if (!std::isspace(static_cast<unsigned char>(c))) line_start_ = false;
        ++at_;
      }
    }
    flush(text_.size());
    return std::move(out_);
  }

 private:
  bool looks_at(std::string_view what) const { return text_.substr(at_, what.size()) == what; }
  bool digit_at(size_t at) const {
    return at < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at]));
  }
  // Just behind the next `what`, or the end.
  size_t after(std::string_view what, size_t from) const {
    const size_t found = text_.find(what, std::min(from, text_.size()));
    return found == std::string_view::npos ? text_.size() : found + what.size();
  }

  // Plain text up to here goes out.
  void flush(size_t to) {
    out_ += escape_html(text_.substr(done_, to - done_));
    done_ = to;
  }

  void take(size_t end, char css) {
    flush(at_);
    out_ += std::string("<span class=\"") + css + "\">";
    at_ = end;
    flush(end);
    out_ += "</span>";
    line_start_ = false;
  }

  // A directive ends with its line, unless that is continued; a comment behind it is its own.
  size_t directive_end() const {
    size_t end = at_;
    while (end < text_.size() && text_[end] != '\n') {
      const std::string_view rest = text_.substr(end, 2);
      if (rest == "//" || rest == "/*") return end;
      end += rest == "\\\n" ? 2 : 1;
    }
    return end;
  }

  // A string or character ends on its line.
  size_t quoted_end(size_t from) const {
    const char quote = text_[from];
    size_t end = from + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n')
      end += text_[end] == '\\' && end + 1 < text_.size() ? 2 : 1;
    return end < text_.size() && text_[end] == quote ? end + 1 : std::min(end, text_.size());
  }

  // R"delimiter( ... )delimiter"
  size_t raw_end(size_t quote) const {
    const size_t open = text_.find('(', quote);
    if (open == std::string_view::npos || open - quote > 17) return quoted_end(quote);
    std::string closing(1, ')');
    closing += text_.substr(quote + 1, open - quote - 1);
    return after(closing + '"', open);
  }

  size_t number_end() const {
    size_t end = at_;
    for (; end < text_.size(); ++end) {
      const char c = text_[end];
      const bool sign = (c == '+' || c == '-') && end > at_ &&
                        std::string_view("eEpP").find(text_[end - 1]) != std::string_view::npos;
      const bool separator = c == '\'' && end + 1 < text_.size() && in_name(text_[end + 1]);
      if (!in_name(c) && c != '.' && !sign && !separator) break;
    }
    return end;
  }

  void name() {
    size_t end = at_;
    while (end < text_.size() && in_name(text_[end])) ++end;
    const std::string_view word = text_.substr(at_, end - at_);
    if (end < text_.size() && text_[end] == '"' && word.size() <= 3) {
      if (word.back() == 'R') return take(raw_end(end), 's');
      if (word == "L" || word == "u" || word == "U" || word == "u8")
        return take(quoted_end(end), 's');
    }
    const char css = class_of(word, end);
    if (css != 0) return take(end, css);
    at_ = end;
    line_start_ = false;
  }

  char class_of(std::string_view word, size_t end) const {
    if (kKeywords.count(word)) return 'k';
    if (kTypes.count(word) || (word.size() > 2 && word.substr(word.size() - 2) == "_t")) return 't';
    if (kProvided.count(word) || word.substr(0, 2) == "__") return 'b';
    const size_t next = text_.find_first_not_of(" \t", end);
    return next != std::string_view::npos && text_[next] == '(' ? 'f' : '\0';
  }

  std::string_view text_;
  std::string out_;
  size_t at_ = 0, done_ = 0;
  bool line_start_ = true;
};

}  // namespace

std::string highlighted(std::string_view source) {
  return Highlighter(source).run();
}

}  // namespace kernelwright::report

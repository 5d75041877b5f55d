// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>
#include <string>
#include <vector>

namespace kernelwright::testing {

// One of `examples` with one to four changes: a byte, a piece cut out, a token that parsers trip
// over, a piece said twice, a piece of another example, the end missing.
inline std::string mutated(const std::vector<std::string>& examples, std::mt19937& random) {
  static const std::string tokens[] = {
      "{",    "}",     "[",       "]",    ",",  ":",
      "\"",   "null",  "1e400",   "-1",   "0",  "18446744073709551616",
      "\n\n", "data:", "\\u0000", "\xff", "\\", std::string(4, '\0')};
  const auto pick = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  std::string text = examples[pick(examples.size())];
  for (size_t changes = 1 + pick(4); changes > 0; --changes) {
    if (text.empty()) text = "{";
    const size_t at = pick(text.size());
    const std::string& other = examples[pick(examples.size())];
    switch (pick(7)) {
      case 0:
      case 1:
        text[at] = static_cast<char>(pick(256));
        break;
      case 2:
        text.erase(at, 1 + pick(20));
        break;
      case 3:
        text.insert(at, tokens[pick(std::size(tokens))]);
        break;
      case 4:
        text.insert(at, text.substr(pick(text.size()), 1 + pick(60)));
        break;
      case 5:
        if (!other.empty()) text.replace(at, 1 + pick(20), other.substr(pick(other.size()), 40));
        break;
      default:
        text.resize(at);
        break;
    }
  }
  return text;
}

}  // namespace kernelwright::testing

// SPDX-License-Identifier: Apache-2.0
#include "cli/duration.h"

#include <charconv>

namespace kernelwright::cli {

std::optional<double> parse_duration(const std::string& text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  double total = 0;
  double last_unit = 1e9;  // units must fall: "30s2m" is a slip of the hand
  if (at == end) return std::nullopt;
  while (at != end) {
    double number = 0;
    const auto parsed = std::from_chars(at, end, number, std::chars_format::fixed);
    if (parsed.ec != std::errc() || parsed.ptr == at) return std::nullopt;
    at = parsed.ptr;
    double unit = 1;
    if (at != end) {
      switch (*at++) {
        case 's':
          unit = 1;
          break;
        case 'm':
          unit = 60;
          break;
        case 'h':
          unit = 3600;
          break;
        default:
          return std::nullopt;
      }
    }
    if (!(number >= 0) || unit >= last_unit) return std::nullopt;
    last_unit = unit;
    total += number * unit;
  }
  if (!(total <= 30.0 * 24 * 3600)) return std::nullopt;
  return total;
}

std::optional<std::pair<int, int>> parse_shard(const std::string& text) {
  const char* const end = text.data() + text.size();
  int index = 0;
  int count = 0;
  const auto first = std::from_chars(text.data(), end, index);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '/') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, count);
  if (second.ec != std::errc() || second.ptr != end) return std::nullopt;
  if (index < 1 || count < index || count > 10000) return std::nullopt;
  return std::pair(index, count);
}

}  // namespace kernelwright::cli

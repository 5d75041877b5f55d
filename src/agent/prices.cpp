// SPDX-License-Identifier: Apache-2.0
#include "agent/prices.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

namespace kernelwright::agent {
namespace {

constexpr double kDearest = 1e5;  // USD per million tokens

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> out;
  for (size_t begin = 0;;) {
    const size_t end = text.find(at, begin);
    out.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return out;
    begin = end + 1;
  }
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<Picodollars> per_token(std::string_view text) {
  text = trimmed(text);
  double usd = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), usd);
  if (error != std::errc() || end != text.data() + text.size() || !(usd >= 0) || usd > kDearest)
    return std::nullopt;
  return static_cast<Picodollars>(std::llround(usd * 1e6));
}

}  // namespace

Picodollars Price::of(const Usage& usage) const {
  return usage.input * input + usage.output * output + usage.cache_read * cache_read +
         usage.cache_write * cache_write;
}

Picodollars Price::at_most(int64_t input_tokens, int64_t output_tokens) const {
  return input_tokens * std::max({input, cache_read, cache_write}) + output_tokens * output;
}

Result<PriceTable> PriceTable::parse(std::string_view text) {
  PriceTable table;
  if (trimmed(text).empty()) return table;
  for (const std::string_view item : split(text, ',')) {
    const auto off = [&] {
      return fail(
          ErrorKind::kUsage,
          fmt::format("price '{}': expected MODEL=INPUT/OUTPUT[/CACHE_READ[/CACHE_WRITE]] in "
                      "USD per million tokens",
                      trimmed(item)));
    };
    const size_t equals = item.rfind('=');
    if (equals == std::string_view::npos) return off();
    const std::string model(trimmed(item.substr(0, equals)));
    std::vector<Picodollars> numbers;
    for (const std::string_view number : split(item.substr(equals + 1), '/')) {
      const auto value = per_token(number);
      if (!value) return off();
      numbers.push_back(*value);
    }
    if (model.empty() || numbers.size() < 2 || numbers.size() > 4) return off();
    Price price{numbers[0], numbers[1], numbers[0], numbers[0]};
    if (numbers.size() > 2) price.cache_read = numbers[2];
    if (numbers.size() > 3) price.cache_write = numbers[3];
    if (!table.prices_.emplace(model, price).second)
      return fail(ErrorKind::kUsage, fmt::format("two prices for model '{}'", model));
  }
  return table;
}

std::optional<Price> PriceTable::find(const std::string& model) const {
  const auto it = prices_.find(model);
  return it == prices_.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace kernelwright::agent

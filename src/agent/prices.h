// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/conversation.h"
#include "base/result.h"

namespace kernelwright::agent {

// Money in whole picodollars (1e-12 USD), so that sums are exact.
using Picodollars = int64_t;
inline constexpr double kPicodollarsPerUsd = 1e12;

// Price of one token. 1 USD per million tokens is 1e6 picodollars per token.
struct Price {
  Picodollars input = 0, output = 0, cache_read = 0, cache_write = 0;

  Picodollars of(const Usage& usage) const;
  // What a request may cost at most: every input token at the dearest of the three input prices.
  Picodollars at_most(int64_t input_tokens, int64_t output_tokens) const;
};

// Models by the name that the user gave them (ModelSpec::text).
class PriceTable {
 public:
  // "MODEL=INPUT/OUTPUT[/CACHE_READ[/CACHE_WRITE]],..." in USD per million tokens. Without their
  // own prices the cache's tokens cost what input costs. kUsage on anything else.
  static Result<PriceTable> parse(std::string_view text);
  std::optional<Price> find(const std::string& model) const;

 private:
  std::map<std::string, Price> prices_;
};

}  // namespace kernelwright::agent

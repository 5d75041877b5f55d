// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kernelwright::base {

// Identity of content: SHA-256, 64 lower-case hex digits.
std::string sha256_hex(std::string_view bytes);

// Builds an identity out of several fields. Each field is length-prefixed, so that ("ab","c") and
// ("a","bc") differ.
class IdentityBuilder {
 public:
  IdentityBuilder& add(std::string_view field);
  std::string hex() const;

 private:
  std::string bytes_;
};

// Fast in-memory hash (XXH3, 64 bits); not an identity, never stored.
uint64_t fast_hash(std::span<const std::byte> bytes);

}  // namespace kernelwright::base

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kernelwright::program {

// Thrown inside this folder where a program is off; parse_program and validate turn it into an
// Error.
class Malformed : public std::runtime_error {
 public:
  // `place` as "run[0].args[2]"; empty: the program as a whole.
  Malformed(const std::string& place, const std::string& what)
      : std::runtime_error(place.empty() ? what : place + ": " + what) {}
};

// At most 40 printable characters of what a file says, in single quotes.
std::string excerpt(std::string_view text);

// A C identifier of at most kMaxNameBytes.
bool is_identifier(std::string_view text);

}  // namespace kernelwright::program

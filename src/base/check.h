// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace kernelwright::base {

// A broken invariant: a fault of ours, never of the input. Ends the command with exit code 4.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void invariant_failed(const char* file, int line, const std::string& what);

}  // namespace kernelwright::base

#define KW_INVARIANT(condition, what)                                                   \
  do {                                                                                  \
    if (!(condition)) ::kernelwright::base::invariant_failed(__FILE__, __LINE__, what); \
  } while (false)

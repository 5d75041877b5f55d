// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kernelwright::agent {

// Text of a file, a program, a compiler or a model, marked as data: `<data from="...">` ...
// `</data>`. Nothing in it can end the mark or open another, and control characters are gone.
// Longer than `limit` bytes: the middle is left out, and it says so.
std::string fenced(std::string_view from, std::string_view text, size_t limit = 32 << 10);

// At most `limit` bytes of UTF-8: beginning and end, with a note of what was left out between.
std::string abridged(std::string_view text, size_t limit);

// What every role is told about marks.
extern const char* const kFenceRule;

}  // namespace kernelwright::agent

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kernelwright::target {

// The screen of a built CPU object: what a candidate's shared object must not contain, judged on
// the binary and not on the source's words. docs/screen.md. Each function gives the reason of a
// refusal, naming symbol, section or instruction, or nothing. Content is untrusted.

// Structure: no writable data, thread-locals, constructors, indirect functions, text relocations,
// executable stack or executable writable segment; undefined symbols from a short list; exports
// exactly `kernels`; no bytes of a system call anywhere in executable code.
std::optional<std::string> screen_object(std::string_view bytes,
                                         const std::vector<std::string>& kernels);

// Whether executable code holds the bytes of a system call, by intent or by chance.
bool contains_system_call(std::string_view bytes);

// Instructions, as `objdump -d` prints them: no system calls, clocks, segment registers, control
// words, cache flushes, ...
std::optional<std::string> screen_disassembly(std::string_view listing);

// Runs objdump, confined, on an object; nullopt where there is none.
Result<std::optional<std::string>> disassemble(const std::filesystem::path& object);

// Symbols outside the C and math library that an object may leave undefined: none; inside it,
// these.
const std::vector<std::string>& allowed_undefined();

}  // namespace kernelwright::target

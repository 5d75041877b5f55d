// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace kernelwright::fuzz {

// A reader of what comes from outside: files, models, servers, clients, built kernels. Whatever the
// bytes are, it ends in a value or an error that is one bounded line; `read` aborts otherwise.
struct Target {
  const char* name;
  void (*read)(std::string_view input);
  std::vector<std::string> (*examples)();  // that it takes; mutation begins with these
};

inline void PrintTo(const Target& target, std::ostream* out) {
  *out << target.name;
}

// All of them: tests/unit/fuzz_test.cpp goes through a few thousand mutations of each, `make fuzz`
// lets libFuzzer search for new paths.
std::vector<Target> targets();
std::vector<Target> format_targets();    // programs, graphs, tensors
std::vector<Target> protocol_targets();  // models' servers, MCP clients, transcripts
std::vector<Target> binary_targets();    // built kernels
std::vector<Target> report_targets();    // a run's files, as pages show them

// Aborts with one line when a reader broke its promise.
void require(bool holds, const char* promise);

}  // namespace kernelwright::fuzz

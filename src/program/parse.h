// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "program/program.h"

namespace kernelwright::program {

// Reads program.json: JSON shape, kinds, names, limits on sizes and counts. Errors are kInput, name
// the place
// ("run[0].args[2]: unknown buffer 'h9'") and never echo more than a short excerpt.
Result<Program> parse_program(std::string_view json_text);

// A candidate on disk: the program and its source text. The source must lie directly in the folder
// (no separators, no links) and be under 4 MiB.
struct Candidate {
  Program program;
  std::string source;
};
Result<Candidate> read_candidate(const std::filesystem::path& folder);
Status write_candidate(const Candidate& candidate, const std::filesystem::path& folder);

// Canonical text: parse_program(print_program(p)) equals p; equal programs print alike.
std::string print_program(const Program& program);

// Identity of a candidate: hash of canonical program and source.
std::string candidate_id(const Candidate& candidate);

}  // namespace kernelwright::program

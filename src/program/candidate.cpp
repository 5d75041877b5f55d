// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <system_error>

#include "base/file.h"
#include "base/hash.h"
#include "program/limits.h"
#include "program/parse.h"

namespace kernelwright::program {
namespace {

namespace fs = std::filesystem;

// A regular file itself, not a link to one: a program reads nothing outside its folder.
Status check_plain_file(const fs::path& path) {
  std::error_code code;
  fs::file_status status = fs::symlink_status(path, code);
  if (code || status.type() == fs::file_type::not_found)
    return fail(ErrorKind::kInput, fmt::format("{}: no such file", path.string()));
  if (status.type() == fs::file_type::symlink)
    return fail(ErrorKind::kInput,
                fmt::format("{}: a link, not a file inside the program's folder", path.string()));
  if (status.type() != fs::file_type::regular)
    return fail(ErrorKind::kInput, fmt::format("{}: not a regular file", path.string()));
  return {};
}

}  // namespace

Result<Candidate> read_candidate(const fs::path& folder) {
  Candidate candidate;
  KW_CHECK_OK(check_plain_file(folder / "program.json"));
  KW_TRY(std::string text, base::read_file(folder / "program.json", kMaxTextBytes));
  KW_TRY(candidate.program, parse_program(text));
  KW_CHECK_OK(check_plain_file(folder / candidate.program.source));
  KW_TRY(candidate.source, base::read_file(folder / candidate.program.source, kMaxSourceBytes));
  return candidate;
}

Status write_candidate(const Candidate& candidate, const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code)
    return fail(ErrorKind::kEnvironment, fmt::format("{}: {}", folder.string(), code.message()));
  KW_CHECK_OK(base::write_file_atomic(folder / candidate.program.source, candidate.source));
  return base::write_file_atomic(folder / "program.json", print_program(candidate.program));
}

std::string candidate_id(const Candidate& candidate) {
  return base::IdentityBuilder()
      .add("candidate-1")
      .add(print_program(candidate.program))
      .add(candidate.source)
      .hex();
}

}  // namespace kernelwright::program

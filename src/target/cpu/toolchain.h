// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "target/compiler_process.h"
#include "target/target.h"

namespace kernelwright::target {

// A C++ compiler of this machine.
struct Compiler {
  enum class Family { kGcc, kClang };
  std::filesystem::path path;  // what is run
  Family family = Family::kGcc;
  std::string version;                  // first line of --version
  std::vector<std::string> arch_flags;  // what -march=native stands for here
  std::set<std::string> headers;        // files that the allowed headers reach
  std::string identity;                 // hash of all of this
};

// The compiler named by `setting` (a name on PATH or a path), or, when it is empty, the first of
// g++, clang++ and their versioned names on PATH. kEnvironment, one line, when there is none that
// works. What a compiler says about itself is kept under `cache_root`, so that a second call starts
// no process.
Result<Compiler> find_compiler(const std::string& setting, const std::filesystem::path& cache_root);

// One translation unit and what must come out of it.
struct CompileJob {
  std::string source_name = "kernels.cpp";  // in messages
  std::string source;
  std::map<std::string, int64_t> defines;
  std::vector<std::string> flags;    // the candidate's own, from the allow-list
  std::vector<std::string> exports;  // extern "C" functions; everything else is made local
};

struct CompileLimits {
  double wall_s = 60;
  uint64_t memory_bytes = 4ull << 30;
  uint64_t object_bytes = 16ull << 20;
};

// The complete command line but for file names; part of the build key.
std::vector<std::string> compile_flags(const Compiler& compiler, const CompileJob& job);

// Identity of the object that `job` would give.
std::string compile_key(const Compiler& compiler, const CompileJob& job);

struct CompileOutput {
  std::string log;  // warnings
  double seconds = 0;
};

// Compiles and links `job` in `folder` (private, empty) into folder/object.so. The compiler is
// confined: it reads system folders, writes `folder`, has no network; time, memory and sizes are
// bounded. The outer Result fails on our own troubles, the inner one is the source's: errors, an
// include outside the allow-list, the time limit.
Result<tl::expected<CompileOutput, BuildFailure>> compile(const Compiler& compiler,
                                                          const CompileJob& job,
                                                          const std::filesystem::path& folder,
                                                          const CompileLimits& limits);

// Standard headers that generated code may include; they need no library.
const std::vector<std::string>& allowed_headers();

// File names of a make rule as written by -M ("a.o: b.h c\ d.h \<newline> e.h").
std::vector<std::string> parse_dependencies(const std::string& rule);

}  // namespace kernelwright::target

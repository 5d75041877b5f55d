// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/toolchain.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "base/file.h"
#include "base/hash.h"
#include "base/subprocess.h"
#include "target/compiler_process.h"
#include "target/cpu/device_sources.h"
#include "target/cpu/elf.h"
#include "target/cpu/screen.h"

namespace kernelwright::target {
namespace fs = std::filesystem;
namespace {

// No -ffast-math and none of its parts that change a result: no reassociation, no reciprocal or
// flush-to-zero, infinities and NaN count. -fno-math-errno and -fno-trapping-math drop side effects
// that nobody reads; -ffp-contract=fast rounds a*b+c once instead of twice. docs/toolchain.md.
constexpr const char* kCommonFlags[] = {"-x",
                                        "c++",
                                        "-std=c++20",
                                        "-O3",
                                        "-march=native",
                                        "-fPIC",
                                        "-fno-exceptions",
                                        "-fno-rtti",
                                        "-fno-stack-protector",
                                        "-fno-stack-clash-protection",
                                        "-fcf-protection=none",
                                        "-U_FORTIFY_SOURCE",
                                        "-fno-asynchronous-unwind-tables",
                                        "-fno-unwind-tables",
                                        "-fopenmp-simd",
                                        "-fno-math-errno",
                                        "-fno-trapping-math",
                                        "-ffp-contract=fast",
                                        "-fno-threadsafe-statics",
                                        "-fno-plt",
                                        "-fdiagnostics-color=never",
                                        "-Iinclude"};

constexpr const char* kLinkFlags[] = {"-shared",
                                      "-nostdlib",
                                      "-Wl,-Bsymbolic",
                                      "-Wl,-z,now",
                                      "-Wl,-z,relro",
                                      "-Wl,-z,noexecstack",
                                      "-Wl,-z,text",
                                      "-Wl,-z,separate-code",
                                      "-Wl,--hash-style=sysv",
                                      "-Wl,--build-id=none",
                                      "-Wl,--version-script=exports.map",
                                      "-Wl,--as-needed"};

// After the source: what may be linked. libgcc is the static one (128-bit division, half
// conversions).
constexpr const char* kLibraries[] = {"-lm", "-lgcc", "-lc"};

constexpr uint64_t kLargestFile = 256ull << 20;  // of the compiler's own temporaries
constexpr int kMaxErrors = kMaxCompilerErrors;

// The first file that was read but is neither ours, nor the candidate's source, nor reachable from
// the allowed headers.
std::optional<std::string> forbidden_include(const Compiler& compiler, const CompileJob& job,
                                             const std::string& rule) {
  for (const auto& file : parse_dependencies(rule)) {
    const std::string name = fs::path(file).lexically_normal().string();
    if (name == job.source_name || compiler.headers.contains(name)) continue;
    const bool ours =
        std::any_of(device_sources().begin(), device_sources().end(),
                    [&](const DeviceSource& source) { return name == "include/" + source.name; });
    if (!ours) return name;
  }
  return std::nullopt;
}

// The compiler's word alone would not do: a source may print it.
bool is_full(const fs::path& folder, const std::string& log) {
  constexpr uintmax_t kLittle = 64u << 20;
  if (log.find("No space left on device") == std::string::npos) return false;
  std::error_code ec;
  const auto space = fs::space(folder, ec);
  return !ec && space.available < kLittle;
}

}  // namespace

const std::vector<std::string>& allowed_headers() {
  static const std::vector<std::string> headers = {
      "algorithm",        "array",    "bit",      "cfloat",  "climits",     "cmath",
      "concepts",         "cstddef",  "cstdint",  "cstring", "float.h",     "immintrin.h",
      "initializer_list", "limits",   "limits.h", "math.h",  "numbers",     "numeric",
      "stddef.h",         "stdint.h", "string.h", "tuple",   "type_traits", "utility"};
  return headers;
}

std::vector<std::string> parse_dependencies(const std::string& rule) {
  std::vector<std::string> files;
  size_t at = rule.find(": ");
  if (at == std::string::npos) return files;
  std::string file;
  for (at += 2; at < rule.size(); ++at) {
    const char c = rule[at];
    if (c == '\\' && at + 1 < rule.size()) {
      const char next = rule[at + 1];
      if (next == '\n') {
        ++at;
      } else if (next == ' ' || next == '#' || next == '\\') {
        file += next;
        ++at;
        continue;
      } else {
        file += c;
        continue;
      }
    } else if (c == '$' && at + 1 < rule.size() && rule[at + 1] == '$') {
      file += '$';
      ++at;
      continue;
    } else if (c != ' ' && c != '\n') {
      file += c;
      continue;
    }
    if (!file.empty()) files.push_back(std::move(file));
    file.clear();
    if (c == '\n') break;
  }
  if (!file.empty()) files.push_back(std::move(file));
  return files;
}

std::vector<std::string> compile_flags(const Compiler& compiler, const CompileJob& job) {
  std::vector<std::string> flags(std::begin(kCommonFlags), std::end(kCommonFlags));
  const auto& arch = compiler.arch_flags;
  // Compilers default to 256 bits on some machines that have 512.
  if (std::find_if(arch.begin(), arch.end(), [](const std::string& flag) {
        return flag == "-mavx512f" || flag == "+avx512f";
      }) != arch.end())
    flags.emplace_back("-mprefer-vector-width=512");
  if (compiler.family == Compiler::Family::kGcc) {
    flags.push_back(fmt::format("-fmax-errors={}", kMaxErrors));
    flags.emplace_back("-frandom-seed=kernelwright");
    // A comparison with a constant, as in a clamp, is followed to what comes of the constant: paths
    // then part and meet again, which costs masks where the loop becomes vector code and keeps it
    // from becoming any where they part too often (log1p, by g++ 13).
    flags.emplace_back("-fno-thread-jumps");
  } else {
    flags.push_back(fmt::format("-ferror-limit={}", kMaxErrors));
  }
  for (const auto& [name, value] : job.defines)
    flags.push_back(value < 0 ? fmt::format("-D{}=({})", name, value)
                              : fmt::format("-D{}={}", name, value));
  flags.insert(flags.end(), job.flags.begin(), job.flags.end());
  flags.insert(flags.end(), std::begin(kLinkFlags), std::end(kLinkFlags));
  return flags;
}

std::string compile_key(const Compiler& compiler, const CompileJob& job) {
  base::IdentityBuilder identity;
  identity.add("cpu object 1").add(compiler.identity);
  const auto flags = compile_flags(compiler, job);
  identity.add(std::to_string(flags.size()));
  for (const auto& flag : flags) identity.add(flag);
  for (const char* library : kLibraries) identity.add(library);
  for (const auto& header : device_sources()) identity.add(header.name).add(header.text);
  identity.add(std::to_string(job.exports.size()));
  for (const auto& name : job.exports) identity.add(name);
  identity.add(job.source_name).add(job.source);
  return identity.hex();
}

namespace {

// `shifted`: with segments further apart.
Result<tl::expected<CompileOutput, BuildFailure>> compile_once(const Compiler& compiler,
                                                               const CompileJob& job,
                                                               const fs::path& folder,
                                                               const CompileLimits& limits,
                                                               bool shifted) {
  const auto refuse = [](std::string log) {
    return tl::expected<CompileOutput, BuildFailure>(
        tl::unexpected(BuildFailure{std::move(log), false}));
  };
  if (!is_plain_file_name(job.source_name, ".cpp"))
    return refuse("the source file must have a plain name that ends in .cpp\n");
  for (const auto& [name, value] : job.defines)
    if (!is_identifier(name))
      return refuse(fmt::format("param '{}' is no identifier\n", name.substr(0, 40)));
  std::string exports = job.exports.empty() ? "{\n" : "{\n  global:\n";
  for (const auto& name : job.exports) {
    if (!is_identifier(name))
      return refuse(fmt::format("kernel '{}' is no identifier\n", name.substr(0, 40)));
    exports += fmt::format("    {};\n", name);
  }
  exports += "  local: *;\n};\n";

  KW_CHECK_OK(base::write_file_atomic(folder / job.source_name, job.source));
  KW_CHECK_OK(base::write_file_atomic(folder / "exports.map", exports));
  std::error_code ec;
  for (const auto& header : device_sources()) {
    const fs::path path = folder / "include" / header.name;
    fs::create_directories(path.parent_path(), ec);
    KW_CHECK_OK(base::write_file_atomic(path, header.text));
  }

  std::vector<std::string> arguments = compile_flags(compiler, job);
  if (shifted) arguments.emplace_back("-Wl,-z,max-page-size=0x8000");
  const std::vector<std::string> files = {"-MD",    "-MF", "deps.d",    "-MT",
                                          "object", "-o",  "object.so", job.source_name};
  arguments.insert(arguments.end(), files.begin(), files.end());
  arguments.insert(arguments.end(), std::begin(kLibraries), std::end(kLibraries));
  KW_TRY(const base::ProcessOutcome outcome,
         run_compiler(compiler.path, arguments, folder,
                      {limits.wall_s, limits.memory_bytes, kLargestFile, 1 << 20, {}}));

  // First, because what a forbidden header brings in explains most errors after it.
  const auto rule = base::read_file(folder / "deps.d", 4 << 20);
  if (rule)
    if (const auto file = forbidden_include(compiler, job, *rule))
      return refuse(fmt::format(
          "include of {} is not allowed; allowed: kernelwright/kernel_abi.h, kw_*.h, {}\n",
          fs::path(*file).filename().string(), fmt::join(allowed_headers(), ", ")));
  std::string log = shorten_compiler_log(outcome.err, folder);
  if (!outcome.ok()) {
    if (is_full(folder, outcome.err))
      return fail(ErrorKind::kEnvironment,
                  fmt::format("cannot build in '{}': No space left on device", folder.string()));
    if (log.find("__dso_handle") != std::string::npos)
      log = "a global or static object with a constructor or destructor is not allowed\n" + log;
    BuildFailure failure{log, outcome.end == base::ProcessOutcome::End::kTimedOut};
    if (outcome.end != base::ProcessOutcome::End::kExited)
      failure.log = limit_message(outcome, limits.wall_s) + "\n" + failure.log;
    if (failure.log.empty())
      failure.log = fmt::format("the compiler failed with code {}\n", outcome.code);
    return tl::expected<CompileOutput, BuildFailure>(tl::unexpected(std::move(failure)));
  }
  if (!rule) return refuse("the compiler wrote no list of includes\n");
  const auto size = fs::file_size(folder / "object.so", ec);
  if (ec) return refuse("the compiler wrote no object\n");
  if (size > limits.object_bytes)
    return refuse(
        fmt::format("the object has {} bytes, over the limit of {}\n", size, limits.object_bytes));
  KW_TRY(const std::string bytes, base::read_file(folder / "object.so", limits.object_bytes));
  // Constants at another distance from the code: other displacements. The screen judges what comes
  // out.
  if (contains_system_call(bytes) && !shifted)
    return compile_once(compiler, job, folder, limits, true);
  if (const auto object = read_elf(bytes)) {
    for (const auto& name : job.exports)
      if (std::none_of(object->dynamic_symbols.begin(), object->dynamic_symbols.end(),
                       [&](const auto& symbol) { return symbol.defined && symbol.name == name; }))
        return refuse(fmt::format(
            "kernel '{}' is not defined; expected: extern \"C\" void {}(const kw_args* args, "
            "int64_t begin, int64_t end)\n",
            name, name));
  }
  return CompileOutput{log, outcome.wall_s};
}

}  // namespace

Result<tl::expected<CompileOutput, BuildFailure>> compile(const Compiler& compiler,
                                                          const CompileJob& job,
                                                          const fs::path& folder,
                                                          const CompileLimits& limits) {
  return compile_once(compiler, job, folder, limits, false);
}

}  // namespace kernelwright::target

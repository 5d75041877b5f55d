// SPDX-License-Identifier: Apache-2.0
// Finding a compiler and what it says about itself.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "base/hash.h"
#include "target/compiler_process.h"
#include "target/cpu/toolchain.h"
#include "target/cpu/topology.h"

namespace kernelwright::target {
namespace fs = std::filesystem;
namespace {

constexpr const char* kNames[] = {"g++",        "clang++",    "g++-15",     "g++-14",
                                  "g++-13",     "g++-12",     "clang++-21", "clang++-20",
                                  "clang++-19", "clang++-18", "clang++-17", "clang++-16"};
const ToolLimits kQueryLimits = {20, 4ull << 30, 64ull << 20, 1 << 20, {}};

std::vector<fs::path> search_path() {
  std::vector<fs::path> folders;
  const char* path = std::getenv("PATH");
  std::istringstream parts(path != nullptr ? path : "/usr/bin:/bin");
  std::string part;
  while (std::getline(parts, part, ':'))
    if (!part.empty() && part[0] == '/') folders.emplace_back(part);
  return folders;
}

bool usable(const fs::path& path) {
  std::error_code ec;
  if (!fs::is_regular_file(path, ec) || ::access(path.c_str(), X_OK) != 0) return false;
  // A compiler cache in front would want folders that the confined compiler cannot reach.
  const std::string real = fs::canonical(path, ec).filename().string();
  return real != "ccache" && real != "sccache" && real != "distcc";
}

std::optional<fs::path> find_named(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    std::error_code ec;
    const fs::path path = fs::absolute(name, ec);
    return !ec && usable(path) ? std::optional(path) : std::nullopt;
  }
  for (const auto& folder : search_path())
    if (usable(folder / name)) return folder / name;
  return std::nullopt;
}

// Architecture options in the driver's own words (-###), which is what -march=native resolves to.
std::vector<std::string> arch_flags(const std::string& driver_output) {
  std::vector<std::string> flags;
  std::istringstream lines(driver_output);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.find("cc1") == std::string::npos) continue;
    std::istringstream words(line);
    std::string word;
    bool value = false;
    while (words >> word) {
      if (word.size() >= 2 && word.front() == '"' && word.back() == '"')
        word = word.substr(1, word.size() - 2);
      const bool announces =
          word == "-target-cpu" || word == "-target-feature" || word == "--param";
      if (value || announces || word.starts_with("-march=") || word.starts_with("-mtune=") ||
          (word.starts_with("-m") && word.find('=') == std::string::npos &&
           word != "-main-file-name"))
        flags.push_back(word);
      value = announces;
    }
    if (!flags.empty()) break;
  }
  return flags;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string every_allowed_header() {
  std::string source;
  for (const auto& header : allowed_headers())
    source += fmt::format("#if __has_include(<{0}>)\n#include <{0}>\n#endif\n", header);
  return source;
}

Result<Compiler> question(const fs::path& path) {
  const auto useless = [&](const std::string& why) {
    return fail(ErrorKind::kEnvironment,
                fmt::format("the compiler {} does not work: {}", path.string(),
                            why.empty() ? "it failed without a word" : why.substr(0, 200)));
  };
  KW_TRY(const base::TempDir folder, base::TempDir::create("kw-toolchain"));
  Compiler compiler;
  compiler.path = path;
  KW_TRY(const auto version, run_compiler(path, {"--version"}, folder.path(), kQueryLimits));
  if (!version.ok()) return useless(first_line(version.err));
  compiler.version = first_line(version.out);
  compiler.family = version.out.find("clang") != std::string::npos ? Compiler::Family::kClang
                                                                   : Compiler::Family::kGcc;
  KW_TRY(const auto driver,
         run_compiler(path, {"-march=native", "-###", "-E", "-x", "c++", "/dev/null"},
                      folder.path(), kQueryLimits));
  compiler.arch_flags = arch_flags(driver.err);
  if (compiler.arch_flags.empty()) return useless("-march=native is not understood");
  KW_CHECK_OK(base::write_file_atomic(folder.path() / "headers.cpp", every_allowed_header()));
  KW_TRY(const auto headers, run_compiler(path,
                                          {"-std=c++20", "-O3", "-march=native", "-fopenmp-simd",
                                           "-U_FORTIFY_SOURCE", "-M", "-MT", "x", "headers.cpp"},
                                          folder.path(), kQueryLimits));
  if (!headers.ok()) return useless(first_line(headers.err));
  for (const auto& file : parse_dependencies(headers.out))
    if (file.starts_with('/')) compiler.headers.insert(fs::path(file).lexically_normal().string());
  return compiler;
}

void set_identity(Compiler& compiler, const std::string& stamp) {
  base::IdentityBuilder identity;
  identity.add(stamp).add(compiler.path.string()).add(compiler.version);
  for (const auto& flag : compiler.arch_flags) identity.add(flag);
  for (const auto& header : compiler.headers) identity.add(header);
  compiler.identity = identity.hex();
}

std::optional<Compiler> recall(const fs::path& file, const fs::path& path) {
  const auto text = base::read_file(file, 4 << 20);
  if (!text) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(*text);
    Compiler compiler;
    compiler.path = path;
    compiler.family = json.at("family").get<std::string>() == "clang" ? Compiler::Family::kClang
                                                                      : Compiler::Family::kGcc;
    compiler.version = json.at("version").get<std::string>();
    compiler.arch_flags = json.at("arch_flags").get<std::vector<std::string>>();
    compiler.headers = json.at("headers").get<std::set<std::string>>();
    return compiler;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

Result<Compiler> describe(const fs::path& path, const fs::path& cache_root) {
  std::error_code ec;
  const fs::path real = fs::canonical(path, ec);
  const auto changed = fs::last_write_time(real, ec).time_since_epoch().count();
  base::IdentityBuilder builder;
  builder.add("compiler 1").add(path.string()).add(real.string()).add(std::to_string(changed));
  builder.add(std::to_string(fs::file_size(real, ec)))
      .add(cpu_signature())
      .add(every_allowed_header());
  const std::string stamp = builder.hex();
  const fs::path file = cache_root / "compilers" / (stamp + ".json");
  if (auto known = recall(file, path)) {
    set_identity(*known, stamp);
    return *known;
  }
  KW_TRY(Compiler compiler, question(path));
  set_identity(compiler, stamp);
  const nlohmann::json json = {
      {"family", compiler.family == Compiler::Family::kClang ? "clang" : "gcc"},
      {"version", compiler.version},
      {"arch_flags", compiler.arch_flags},
      {"headers", compiler.headers}};
  fs::create_directories(file.parent_path(), ec);
  // Not being able to remember costs time only.
  (void)base::write_file_atomic(file,
                                json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
  return compiler;
}

}  // namespace

Result<Compiler> find_compiler(const std::string& setting, const fs::path& cache_root) {
  if (!setting.empty()) {
    const auto path = find_named(setting);
    if (!path)
      return fail(
          ErrorKind::kEnvironment,
          fmt::format("KERNELWRIGHT_CXX: there is no compiler '{}'", setting.substr(0, 200)));
    return describe(*path, cache_root);
  }
  std::optional<Error> why;
  for (const char* name : kNames) {
    const auto path = find_named(name);
    if (!path) continue;
    auto compiler = describe(*path, cache_root);
    if (compiler) return compiler;
    if (!why) why = compiler.error();
  }
  if (why) return fail(*why);
  return fail(ErrorKind::kEnvironment, "no C++ compiler: neither g++ nor clang++ is on PATH");
}

}  // namespace kernelwright::target

// SPDX-License-Identifier: Apache-2.0
// Finding a CUDA compiler and what it says about itself.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "base/hash.h"
#include "base/subprocess.h"
#include "target/compiler_process.h"
#include "target/cpu/toolchain.h"
#include "target/cuda/nvrtc_process.h"
#include "target/cuda/toolchain.h"

namespace kernelwright::target {
namespace fs = std::filesystem;
namespace {

// Asked by name after all places, for a loader that knows more of them.
constexpr const char* kNvrtcNames[] = {"libnvrtc.so.13", "libnvrtc.so.12"};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Folders below `root` whose name begins with `prefix`, the highest version first.
std::vector<fs::path> versions(const fs::path& root, const std::string& prefix) {
  std::vector<fs::path> found;
  std::error_code ec;
  for (fs::directory_iterator it(root, ec), end; !ec && it != end; it.increment(ec))
    if (it->path().filename().string().starts_with(prefix)) found.push_back(it->path());
  // cuda-13.0 after cuda-9.2: longer digits first.
  std::sort(found.begin(), found.end(), [](const fs::path& a, const fs::path& b) {
    const std::string x = a.filename().string(), y = b.filename().string();
    return x.size() != y.size() ? x.size() > y.size() : x > y;
  });
  return found;
}

std::vector<fs::path> toolkits() {
  std::vector<fs::path> roots;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"})
    if (const std::string root = environment(name); root.starts_with('/')) roots.emplace_back(root);
  roots.emplace_back("/usr/local/cuda");
  for (const auto& root : versions("/usr/local", "cuda-")) roots.push_back(root);
  roots.emplace_back("/opt/cuda");
  return roots;
}

void add_python_packages(const fs::path& prefix, std::vector<fs::path>& folders) {
  for (const char* lib : {"lib", "lib64"})
    for (const auto& python : versions(prefix / lib, "python3"))
      for (const char* packages : {"site-packages", "dist-packages"})
        for (const char* part : {"cu13/lib", "cuda_nvrtc/lib"})
          folders.push_back(python / packages / "nvidia" / part);
}

std::vector<fs::path> library_folders() {
  std::vector<fs::path> folders;
  for (const auto& root : toolkits()) {
    folders.push_back(root / "lib64");
    folders.push_back(root / "targets/x86_64-linux/lib");
    folders.push_back(root / "targets/sbsa-linux/lib");
  }
  std::istringstream parts(environment("LD_LIBRARY_PATH"));
  std::string part;
  while (std::getline(parts, part, ':'))
    if (part.starts_with('/')) folders.emplace_back(part);
  for (const char* folder :
       {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/local/lib"})
    folders.emplace_back(folder);
  if (const fs::path python = environment("KERNELWRIGHT_PYTHON"); python.is_absolute())
    add_python_packages(python.parent_path().parent_path(), folders);
  if (const fs::path venv = environment("VIRTUAL_ENV"); venv.is_absolute())
    add_python_packages(venv, folders);
  for (const char* prefix : {"/usr/local", "/usr"}) add_python_packages(prefix, folders);
  return folders;
}

std::optional<fs::path> find_nvcc() {
  if (const auto found = base::find_program("nvcc")) return fs::path(*found);
  for (const auto& root : toolkits())
    if (::access((root / "bin/nvcc").c_str(), X_OK) == 0) return root / "bin/nvcc";
  return std::nullopt;
}

Result<CudaCompiler> question_nvcc(const fs::path& path) {
  const auto useless = [&](const std::string& why) {
    return fail(ErrorKind::kEnvironment, fmt::format("{} does not work: {}", path.string(),
                                                     why.substr(0, why.find('\n')).substr(0, 200)));
  };
  const ToolLimits limits{60, 8ull << 30, 64ull << 20, 1 << 20, {}};
  KW_TRY(const base::TempDir folder, base::TempDir::create("kw-nvcc"));
  CudaCompiler compiler;
  compiler.kind = CudaCompiler::Kind::kNvcc;
  compiler.path = path;
  KW_TRY(const auto version, run_compiler(path, {"--version"}, folder.path(), limits));
  const auto at = version.out.find("release ");
  if (!version.ok() || at == std::string::npos ||
      std::sscanf(version.out.c_str() + at, "release %d.%d", &compiler.major, &compiler.minor) != 2)
    return useless(version.err);
  compiler.version = fmt::format("nvcc {}.{}", compiler.major, compiler.minor);
  KW_TRY(const auto archs, run_compiler(path, {"--list-gpu-code"}, folder.path(), limits));
  std::istringstream lines(archs.out);
  std::string line;
  while (std::getline(lines, line))
    if (line.starts_with("sm_") && line.find_first_not_of("0123456789", 3) == std::string::npos)
      compiler.archs.push_back(std::atoi(line.c_str() + 3));
  if (compiler.archs.empty()) return useless("it lists no architectures");
  KW_CHECK_OK(base::write_file_atomic(folder.path() / "empty.cu",
                                      "extern \"C\" __global__ void w(float* x) { *x = 1; }\n"));
  KW_TRY(const auto headers, run_compiler(path,
                                          {"-std=c++20", "-cubin", "-MD", "-MF", "deps.d", "-o",
                                           "empty.cubin", "empty.cu"},
                                          folder.path(), limits));
  if (!headers.ok()) return useless(headers.err.empty() ? headers.out : headers.err);
  KW_TRY(const std::string rule, base::read_file(folder.path() / "deps.d", 4 << 20));
  for (const auto& file : parse_dependencies(rule))
    if (file.starts_with('/')) compiler.headers.insert(fs::path(file).lexically_normal().string());
  return compiler;
}

Result<CudaCompiler> question_nvrtc_library(const std::string& library) {
  KW_TRY(const NvrtcInfo info, question_nvrtc(library));
  CudaCompiler compiler;
  compiler.kind = CudaCompiler::Kind::kNvrtc;
  compiler.path = info.path;
  compiler.major = info.major;
  compiler.minor = info.minor;
  compiler.archs = info.archs;
  compiler.version = fmt::format("NVRTC {}.{}", info.major, info.minor);
  if (info.builtins.empty())
    return fail(ErrorKind::kEnvironment,
                fmt::format("{}: libnvrtc-builtins.so.{}.{} is not beside it", info.path.string(),
                            info.major, info.minor));
  return compiler;
}

void set_identity(CudaCompiler& compiler, const std::string& stamp) {
  base::IdentityBuilder identity;
  identity.add(stamp).add(compiler.path.string()).add(compiler.version);
  for (const int arch : compiler.archs) identity.add(std::to_string(arch));
  for (const auto& header : compiler.headers) identity.add(header);
  compiler.identity = identity.hex();
}

std::optional<CudaCompiler> recall(const fs::path& file) {
  const auto text = base::read_file(file, 4 << 20);
  if (!text) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(*text);
    CudaCompiler compiler;
    compiler.kind = json.at("kind").get<std::string>() == "nvcc" ? CudaCompiler::Kind::kNvcc
                                                                 : CudaCompiler::Kind::kNvrtc;
    compiler.path = json.at("path").get<std::string>();
    compiler.version = json.at("version").get<std::string>();
    compiler.major = json.at("toolkit").at(0).get<int>();
    compiler.minor = json.at("toolkit").at(1).get<int>();
    compiler.archs = json.at("archs").get<std::vector<int>>();
    compiler.headers = json.at("headers").get<std::set<std::string>>();
    return compiler;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

// Asks once per file, size and date.
Result<CudaCompiler> describe(const fs::path& path, const fs::path& cache_root, bool nvcc) {
  std::error_code ec;
  const fs::path real = fs::canonical(path, ec);
  const auto changed = ec ? 0 : fs::last_write_time(real, ec).time_since_epoch().count();
  base::IdentityBuilder builder;
  builder.add("cuda compiler 1").add(path.string()).add(real.string());
  builder.add(std::to_string(changed));
  builder.add(std::to_string(ec ? 0 : fs::file_size(real, ec)));
  const std::string stamp = builder.hex();
  const fs::path file = cache_root / "compilers" / (stamp + ".json");
  if (!real.empty()) {
    if (auto known = recall(file)) {
      set_identity(*known, stamp);
      return *known;
    }
  }
  KW_TRY(CudaCompiler compiler, nvcc ? question_nvcc(path) : question_nvrtc_library(path.string()));
  set_identity(compiler, stamp);
  const nlohmann::json json = {
      {"kind", nvcc ? "nvcc" : "nvrtc"}, {"path", compiler.path.string()},
      {"version", compiler.version},     {"toolkit", {compiler.major, compiler.minor}},
      {"archs", compiler.archs},         {"headers", compiler.headers}};
  if (real.empty()) return compiler;  // a bare name may mean another file tomorrow
  fs::create_directories(file.parent_path(), ec);
  // Not being able to remember costs time only.
  (void)base::write_file_atomic(file,
                                json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
  return compiler;
}

Result<CudaCompiler> find_nvrtc(const fs::path& cache_root) {
  std::optional<Error> why;
  std::vector<fs::path> candidates = nvrtc_candidates();
  for (const char* name : kNvrtcNames) candidates.emplace_back(name);
  for (const auto& candidate : candidates) {
    auto compiler = describe(candidate, cache_root, false);
    if (compiler) return compiler;
    if (!why && candidate.is_absolute()) why = compiler.error();
  }
  if (why) return fail(*why);
  return fail(ErrorKind::kEnvironment, "no NVRTC: libnvrtc.so.13 or .12 is nowhere to be found");
}

Result<CudaCompiler> find_nvcc_compiler(const fs::path& cache_root) {
  const auto path = find_nvcc();
  if (!path) return fail(ErrorKind::kEnvironment, "no nvcc on PATH or in /usr/local/cuda/bin");
  return describe(*path, cache_root, true);
}

}  // namespace

std::vector<fs::path> nvrtc_candidates() {
  std::vector<fs::path> found;
  std::error_code ec;
  for (const auto& folder : library_folders())
    for (const char* name : kNvrtcNames) {
      const fs::path path = folder / name;
      if (!fs::is_regular_file(path, ec)) continue;
      // The same file by several ways counts once.
      const fs::path real = fs::canonical(path, ec);
      if (std::none_of(found.begin(), found.end(), [&](const fs::path& other) {
            std::error_code other_ec;
            return fs::canonical(other, other_ec) == real;
          }))
        found.push_back(path);
    }
  return found;
}

Result<CudaCompiler> find_cuda_compiler(const std::string& setting, const fs::path& cache_root) {
  if (setting == "nvrtc") return find_nvrtc(cache_root);
  if (setting == "nvcc") return find_nvcc_compiler(cache_root);
  if (!setting.empty()) {
    std::error_code ec;
    if (!fs::is_regular_file(setting, ec))
      return fail(ErrorKind::kEnvironment,
                  fmt::format("KERNELWRIGHT_CUDA_COMPILER: there is no compiler '{}'",
                              setting.substr(0, 200)));
    const fs::path path = fs::absolute(setting, ec);
    return describe(path, cache_root,
                    path.filename().string().find("libnvrtc") == std::string::npos);
  }
  auto nvrtc = find_nvrtc(cache_root);
  if (nvrtc) return nvrtc;
  auto nvcc = find_nvcc_compiler(cache_root);
  if (nvcc) return nvcc;
  return fail(ErrorKind::kEnvironment,
              fmt::format("{}; {}", nvrtc.error().text(), nvcc.error().text()));
}

}  // namespace kernelwright::target

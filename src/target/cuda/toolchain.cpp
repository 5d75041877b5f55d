// SPDX-License-Identifier: Apache-2.0
#include "target/cuda/toolchain.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "base/file.h"
#include "base/hash.h"
#include "target/compiler_process.h"
#include "target/cpu/toolchain.h"
#include "target/cuda/cubin.h"
#include "target/cuda/device_sources.h"
#include "target/cuda/nvrtc_process.h"

namespace kernelwright::target {
namespace fs = std::filesystem;
namespace {

using Compiled = tl::expected<CudaCompileOutput, BuildFailure>;

constexpr uint64_t kLargestFile = 256ull << 20;
constexpr int kNvrtcSourceErrors = 1;  // exit status of the NVRTC process

// "sm_90a": 90 and 'a'; 0 where the text is none.
std::pair<int, char> split_arch(const std::string& arch) {
  if (!arch.starts_with("sm_") || arch.size() < 5 || arch.size() > 7) return {0, 0};
  std::string digits = arch.substr(3);
  char variant = 0;
  if (digits.back() == 'a' || digits.back() == 'f') {
    variant = digits.back();
    digits.pop_back();
  }
  int number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return {0, 0};
    number = number * 10 + (c - '0');
  }
  return {number, variant};
}

// Devices from Hopper on have instructions that only code for that very device may use.
bool has_own_variant(int number) {
  return number >= 90;
}

// The first file that was read but is neither ours, nor the candidate's, nor nvcc's own.
std::optional<std::string> forbidden_include(const CudaCompiler& compiler,
                                             const CudaCompileJob& job, const std::string& rule) {
  for (const auto& file : parse_dependencies(rule)) {
    const std::string name = fs::path(file).lexically_normal().string();
    if (name == job.source_name || compiler.headers.contains(name)) continue;
    const auto& ours = cuda_device_sources();
    if (std::none_of(ours.begin(), ours.end(),
                     [&](const DeviceSource& source) { return name == "include/" + source.name; }))
      return name;
  }
  return std::nullopt;
}

std::string include_advice() {
  std::vector<std::string> names;
  for (const auto& source : cuda_device_sources())
    if (source.name.ends_with(".h")) names.push_back(source.name);
  return fmt::format("allowed: {}", fmt::join(names, ", "));
}

// NVRTC's words for an include that it was not given.
std::string explain_includes(std::string log) {
  if (log.find("cannot open source file") != std::string::npos ||
      log.find("could not open source file") != std::string::npos)
    log += "includes: " + include_advice() + "\n";
  return log;
}

// ptxas' report per function. Its lines leave the log, but for what it warns of.
struct Spills {
  int64_t stores = 0, loads = 0;
};
std::map<std::string, Spills> take_report(std::string& log) {
  std::map<std::string, Spills> spills;
  std::string kept, line, function;
  std::istringstream lines(log);
  while (std::getline(lines, line)) {
    constexpr const char* kProperties = "Function properties for ";
    if (const auto at = line.find(kProperties); at != std::string::npos) {
      function = line.substr(at + std::char_traits<char>::length(kProperties));
      continue;
    }
    if (const auto at = line.find("bytes stack frame, "); at != std::string::npos) {
      Spills& of = spills[function];
      long stores = 0, loads = 0;
      if (std::sscanf(line.c_str() + at, "bytes stack frame, %ld bytes spill stores, %ld bytes",
                      &stores, &loads) == 2) {
        of.stores = stores;
        of.loads = loads;
      }
      continue;
    }
    // "(C7510) Potential Performance Loss" is for the author; the rest is in the cubin.
    if (line.starts_with("ptxas info") && line.find("(C") == std::string::npos) continue;
    if (!line.empty() || !kept.empty()) kept += line + "\n";
  }
  log = kept;
  return spills;
}

std::vector<KernelResources> resources_of(const Cubin& cubin,
                                          const std::map<std::string, Spills>& spills,
                                          const std::vector<std::string>& wanted) {
  std::vector<KernelResources> out;
  for (const auto& kernel : cubin.kernels) {
    if (std::find(wanted.begin(), wanted.end(), kernel.name) == wanted.end()) continue;
    KernelResources resources;
    resources.kernel = kernel.name;
    resources.registers = kernel.registers;
    resources.shared_bytes = kernel.shared_bytes;
    resources.stack_bytes = kernel.stack_bytes;
    if (const auto it = spills.find(kernel.name); it != spills.end()) {
      resources.spill_store_bytes = it->second.stores;
      resources.spill_load_bytes = it->second.loads;
    }
    out.push_back(std::move(resources));
  }
  return out;
}

Result<base::ProcessOutcome> run(const CudaCompiler& compiler, const CudaCompileJob& job,
                                 const fs::path& folder, const CudaCompileLimits& limits) {
  const ToolLimits tool_limits{limits.wall_s, limits.memory_bytes, kLargestFile, 4 << 20, {}};
  if (compiler.kind == CudaCompiler::Kind::kNvrtc)
    return run_nvrtc(compiler.path, {job.source_name, cuda_compile_flags(compiler, job)}, folder,
                     tool_limits);
  std::error_code ec;
  for (const auto& header : cuda_device_sources()) {
    const fs::path path = folder / "include" / header.name;
    fs::create_directories(path.parent_path(), ec);
    KW_CHECK_OK(base::write_file_atomic(path, header.text));
  }
  std::vector<std::string> arguments = cuda_compile_flags(compiler, job);
  for (const char* text : {"-Iinclude", "-MD", "-MF", "deps.d", "-o", "object.cubin"})
    arguments.emplace_back(text);
  arguments.push_back(job.source_name);
  return run_compiler(compiler.path, arguments, folder, tool_limits);
}

}  // namespace

Result<std::string> cuda_arch(const CudaCompiler& compiler, int major, int minor) {
  const int number = major * 10 + minor;
  if (std::find(compiler.archs.begin(), compiler.archs.end(), number) == compiler.archs.end())
    return fail(ErrorKind::kEnvironment,
                fmt::format("{} does not know devices of sm_{}", compiler.version, number));
  return fmt::format("sm_{}{}", number, has_own_variant(number) ? "a" : "");
}

std::string arch_misfit(const std::string& arch, int major, int minor) {
  const auto [number, variant] = split_arch(arch);
  const int device = major * 10 + minor;
  if (number == 0) return fmt::format("'{}' is no architecture such as sm_90a", arch.substr(0, 40));
  const bool same_major = number / 10 == major;
  if (variant == 'a' ? number == device : same_major && number <= device) return "";
  return fmt::format("code for {} does not run on this device, which is sm_{}", arch, device);
}

std::vector<std::string> cuda_compile_flags(const CudaCompiler& compiler,
                                            const CudaCompileJob& job) {
  std::vector<std::string> flags = {"-std=c++20"};
  if (compiler.kind == CudaCompiler::Kind::kNvrtc) {
    flags.emplace_back("--ptxas-options=-v");
    if (compiler.major >= 13) flags.emplace_back("-no-source-include");
    flags.push_back("-arch=" + job.arch);
  } else {
    const std::string number = job.arch.starts_with("sm_") ? job.arch.substr(3) : job.arch;
    for (const char* flag : {"-cubin", "-Xptxas", "-v"}) flags.emplace_back(flag);
    flags.push_back(fmt::format("-gencode=arch=compute_{0},code=sm_{0}", number));
  }
  // Unused variables and functions: a candidate's own affair.
  flags.emplace_back("-diag-suppress=177");
  for (const auto& [name, value] : job.defines)
    flags.push_back(value < 0 ? fmt::format("-D{}=({})", name, value)
                              : fmt::format("-D{}={}", name, value));
  flags.insert(flags.end(), job.flags.begin(), job.flags.end());
  return flags;
}

std::string cuda_compile_key(const CudaCompiler& compiler, const CudaCompileJob& job) {
  base::IdentityBuilder identity;
  identity.add("cubin 1").add(compiler.identity);
  const auto flags = cuda_compile_flags(compiler, job);
  identity.add(std::to_string(flags.size()));
  for (const auto& flag : flags) identity.add(flag);
  for (const auto& header : cuda_device_sources()) identity.add(header.name).add(header.text);
  identity.add(std::to_string(job.kernels.size()));
  for (const auto& name : job.kernels) identity.add(name);
  identity.add(job.source_name).add(job.source);
  return identity.hex();
}

Result<tl::expected<CudaCompileOutput, BuildFailure>> compile_cuda(
    const CudaCompiler& compiler, const CudaCompileJob& job, const fs::path& folder,
    const CudaCompileLimits& limits) {
  const auto refuse = [](std::string log) {
    return Compiled(tl::unexpected(BuildFailure{std::move(log), false}));
  };
  if (!is_plain_file_name(job.source_name, ".cu"))
    return refuse("the source file must have a plain name that ends in .cu\n");
  if (split_arch(job.arch).first == 0)
    return refuse(fmt::format("'{}' is no architecture\n", job.arch.substr(0, 40)));
  for (const auto& [name, value] : job.defines)
    if (!is_identifier(name))
      return refuse(fmt::format("param '{}' is no identifier\n", name.substr(0, 40)));
  KW_CHECK_OK(base::write_file_atomic(folder / job.source_name, job.source));
  KW_TRY(const base::ProcessOutcome outcome, run(compiler, job, folder, limits));

  const bool nvrtc = compiler.kind == CudaCompiler::Kind::kNvrtc;
  if (nvrtc && outcome.end == base::ProcessOutcome::End::kExited && outcome.code != 0 &&
      outcome.code != kNvrtcSourceErrors)
    return fail(ErrorKind::kEnvironment,
                fmt::format("the CUDA compiler's process failed: {}",
                            outcome.err.empty() ? fmt::format("code {}", outcome.code)
                                                : outcome.err.substr(0, outcome.err.find('\n'))));
  std::optional<std::string> rule;
  if (!nvrtc) {
    if (const auto text = base::read_file(folder / "deps.d", 4 << 20)) rule = *text;
    if (rule)
      if (const auto file = forbidden_include(compiler, job, *rule))
        return refuse(fmt::format("include of {} is not allowed; {}\n", *file, include_advice()));
  }
  std::string log = outcome.err;
  if (nvrtc) {
    const auto text = base::read_file(folder / "log.txt", 4 << 20);
    log = text ? *text : "";
  }
  const auto spills = take_report(log);
  log = explain_includes(shorten_compiler_log(log, folder));
  if (!outcome.ok()) {
    BuildFailure failure{log, outcome.end == base::ProcessOutcome::End::kTimedOut};
    if (outcome.end != base::ProcessOutcome::End::kExited)
      failure.log = limit_message(outcome, limits.wall_s) + "\n" + failure.log;
    if (failure.log.empty())
      failure.log = fmt::format("the compiler failed with code {}\n", outcome.code);
    return Compiled(tl::unexpected(std::move(failure)));
  }
  if (!nvrtc && !rule) return refuse("the compiler wrote no list of includes\n");
  std::error_code ec;
  const auto size = fs::file_size(folder / "object.cubin", ec);
  if (ec) return refuse("the compiler wrote no cubin\n");
  if (size > limits.object_bytes)
    return refuse(
        fmt::format("the cubin has {} bytes, over the limit of {}\n", size, limits.object_bytes));
  KW_TRY(const std::string bytes, base::read_file(folder / "object.cubin", limits.object_bytes));
  const auto cubin = read_cubin(bytes);
  if (!cubin) return refuse(cubin.error().text() + "\n");
  for (const auto& name : job.kernels)
    if (cubin->find(name) == nullptr)
      return refuse(fmt::format(
          "kernel '{}' is not defined; expected: extern \"C\" __global__ void {}(...)\n",
          name.substr(0, 200), name.substr(0, 200)));
  return CudaCompileOutput{log, outcome.wall_s, resources_of(*cubin, spills, job.kernels)};
}

}  // namespace kernelwright::target

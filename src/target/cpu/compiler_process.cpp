// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/compiler_process.h"

#include <cstdlib>

namespace kernelwright::target {
namespace fs = std::filesystem;
namespace {

constexpr const char* kReadable[] = {"/usr",
                                     "/lib",
                                     "/lib64",
                                     "/bin",
                                     "/etc/ld.so.cache",
                                     "/etc/ld.so.conf",
                                     "/etc/ld.so.conf.d",
                                     "/etc/alternatives",
                                     "/dev/null"};

// The installation that a compiler outside the system folders belongs to (<prefix>/bin/g++), unless
// that is a whole home directory.
std::optional<fs::path> own_prefix(const fs::path& tool) {
  std::error_code ec;
  const fs::path real = fs::canonical(tool, ec);
  if (ec || real.string().starts_with("/usr/")) return std::nullopt;
  const fs::path bin = real.parent_path();
  const fs::path prefix = bin.filename() == "bin" ? bin.parent_path() : bin;
  const char* home = std::getenv("HOME");
  if (prefix == prefix.root_path() || (home != nullptr && prefix == fs::path(home))) return bin;
  return prefix;
}

}  // namespace

Result<base::ProcessOutcome> run_compiler(const fs::path& tool,
                                          const std::vector<std::string>& arguments,
                                          const fs::path& folder, const ToolLimits& limits) {
  base::ProcessSpec spec;
  spec.argv.push_back(tool.string());
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  spec.cwd = folder.string();
  spec.env = std::vector<std::string>{"PATH=" + tool.parent_path().string() + ":/usr/bin:/bin",
                                      "TMPDIR=" + folder.string(), "HOME=" + folder.string(),
                                      "LC_ALL=C", "SOURCE_DATE_EPOCH=0"};
  spec.limits.wall_s = limits.wall_s;
  spec.limits.cpu_s = static_cast<uint64_t>(limits.wall_s) + 5;
  spec.limits.memory_bytes = limits.memory_bytes;
  spec.limits.file_bytes = limits.file_bytes;
  spec.limits.output_bytes = limits.output_bytes;
  base::Confinement confinement;
  std::error_code ec;
  for (const char* path : kReadable)
    if (fs::exists(path, ec)) confinement.read_paths.emplace_back(path);
  if (const auto prefix = own_prefix(tool)) confinement.read_paths.push_back(prefix->string());
  confinement.write_paths = {folder.string()};
  spec.confinement = confinement;
  return base::run_process(spec);
}

}  // namespace kernelwright::target

// SPDX-License-Identifier: Apache-2.0
#include "target/compiler_process.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

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

constexpr size_t kMaxLogLines = 40;
constexpr size_t kMaxLogBytes = 4000;

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  if (what.empty()) return;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

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
  for (const auto& path : limits.also_readable) confinement.read_paths.push_back(path.string());
  confinement.write_paths = {folder.string()};
  spec.confinement = confinement;
  return base::run_process(spec);
}

std::string limit_message(const base::ProcessOutcome& outcome, double wall_s) {
  if (outcome.end == base::ProcessOutcome::End::kTimedOut)
    return fmt::format("the compiler was stopped after {:g} s", wall_s);
  return fmt::format("the compiler was killed by signal {}", outcome.code);
}

std::string shorten_compiler_log(const std::string& log, const fs::path& folder) {
  std::string text = log;
  replace_all(text, folder.string() + "/", "");
  replace_all(text, folder.string(), ".");
  std::string out;
  std::istringstream lines(text);
  std::string line;
  size_t count = 0;
  int errors = 0;
  bool in_note = false;
  while (std::getline(lines, line)) {
    const bool error = line.find("error:") != std::string::npos;
    const bool head = error || line.find("warning:") != std::string::npos ||
                      line.find("undefined reference") != std::string::npos;
    if (line.find("note:") != std::string::npos) {
      in_note = true;
    } else if (head || (!line.empty() && line[0] != ' ')) {
      in_note = false;
    }
    if (in_note || line.starts_with("compilation terminated") ||
        line.starts_with("In file included") || line.starts_with("                 from "))
      continue;
    if (error && ++errors > kMaxCompilerErrors) break;
    if (++count > kMaxLogLines || out.size() + line.size() > kMaxLogBytes) {
      out += "...\n";
      break;
    }
    out += line.substr(0, 400) + "\n";
  }
  return out;
}

bool is_identifier(const std::string& text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9') || text.size() > 200) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

bool is_plain_file_name(const std::string& name, const std::string& suffix) {
  if (name.size() <= suffix.size() || name.size() > 100 || !name.ends_with(suffix) ||
      name[0] == '-')
    return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c == '_' || c == '-' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
  });
}

}  // namespace kernelwright::target

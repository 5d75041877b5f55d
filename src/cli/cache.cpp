// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/commands.h"

namespace kernelwright::cli {
namespace {

namespace fs = std::filesystem;

// What we keep there. KERNELWRIGHT_CACHE_DIR may name a folder that holds other things as well.
constexpr const char* kFolders[] = {"compilers", "inductor", "machine", "objects"};

struct Usage {
  uint64_t bytes = 0;
  uint64_t files = 0;
};

std::map<std::string, Usage> usage_by_folder(const fs::path& root) {
  std::map<std::string, Usage> usage;
  for (const char* folder : kFolders) {
    std::error_code ec;
    for (fs::recursive_directory_iterator
             it(root / folder, fs::directory_options::skip_permission_denied, ec),
         end;
         !ec && it != end; it.increment(ec)) {
      std::error_code ignored;
      if (!it->is_regular_file(ignored) || it->is_symlink(ignored)) continue;
      const uint64_t bytes = it->file_size(ignored);
      if (ignored) continue;
      Usage& entry = usage[folder];
      entry.bytes += bytes;
      ++entry.files;
    }
  }
  return usage;
}

Result<Usage> clear(const fs::path& root) {
  Usage removed;
  for (const auto& [folder, usage] : usage_by_folder(root)) {
    removed.bytes += usage.bytes;
    removed.files += usage.files;
  }
  for (const char* folder : kFolders) {
    std::error_code removal;
    fs::remove_all(root / folder, removal);
    if (removal)
      return fail(
          ErrorKind::kEnvironment,
          fmt::format("cannot remove '{}': {}", (root / folder).string(), removal.message()));
  }
  return removed;
}

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

}  // namespace

int cmd_cache(const CacheOptions& options, const GlobalOptions& global) {
  const auto root = base::cache_dir();
  if (!root) return report_error(root.error(), global);
  if (options.action == CacheOptions::Action::kClear) {
    const auto removed = clear(*root);
    if (!removed) return report_error(removed.error(), global);
    if (global.json) {
      nlohmann::json out = {{"path", root->string()},
                            {"removed_bytes", removed->bytes},
                            {"removed_files", removed->files}};
      fmt::print("{}\n", out.dump());
    } else {
      fmt::print("removed {} in {} files from {}\n", human_bytes(removed->bytes), removed->files,
                 root->string());
    }
    return 0;
  }
  const auto usage = usage_by_folder(*root);
  Usage total;
  nlohmann::json folders = nlohmann::json::object();
  for (const auto& [folder, entry] : usage) {
    total.bytes += entry.bytes;
    total.files += entry.files;
    folders[folder] = {{"bytes", entry.bytes}, {"files", entry.files}};
  }
  if (global.json) {
    nlohmann::json out = {{"path", root->string()},
                          {"bytes", total.bytes},
                          {"files", total.files},
                          {"folders", folders}};
    fmt::print("{}\n", out.dump());
    return 0;
  }
  fmt::print("{}\n", root->string());
  for (const auto& [folder, entry] : usage)
    fmt::print("  {:<16} {:>10}  {} files\n", folder, human_bytes(entry.bytes), entry.files);
  fmt::print("  {:<16} {:>10}  {} files\n", "total", human_bytes(total.bytes), total.files);
  return 0;
}

}  // namespace kernelwright::cli

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kernelwright::base {

// Reads a whole file; kInput when missing or longer than `limit` bytes.
Result<std::string> read_file(const std::filesystem::path& path, uint64_t limit = 1ull << 30);

// Writes to a temporary file beside `path`, then renames over it: a reader sees the old content or
// the new, never half. A full disk is kEnvironment and leaves the old content.
Status write_file_atomic(const std::filesystem::path& path, std::string_view content);

// A private directory (mode 0700) that is removed with the object.
class TempDir {
 public:
  static Result<TempDir> create(std::string_view prefix);
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&& other) noexcept;
  TempDir(const TempDir&) = delete;
  ~TempDir();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TempDir(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// HOME, or the user's entry in the password file.
Result<std::filesystem::path> home_dir();

// XDG folders of this user, created on first use: ~/.cache/kernelwright,
// ~/.local/share/kernelwright. KERNELWRIGHT_CACHE_DIR and KERNELWRIGHT_DATA_DIR override them.
Result<std::filesystem::path> cache_dir();
Result<std::filesystem::path> data_dir();

}  // namespace kernelwright::base

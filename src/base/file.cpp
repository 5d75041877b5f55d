// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "base/shared_memory.h"

namespace kernelwright::base {
namespace {

namespace fs = std::filesystem;

// Writes everything or says which errno stopped it.
int write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    content.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

Result<fs::path> ensure_dir(const fs::path& path) {
  std::error_code ec;
  fs::create_directories(path, ec);
  if (ec)
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot create folder '{}': {}", path.string(), ec.message()));
  return path;
}

Result<fs::path> xdg_dir(const char* override_variable, const char* xdg_variable,
                         const char* below_home) {
  if (const char* own = std::getenv(override_variable); own != nullptr && *own != '\0')
    return ensure_dir(own);
  // The XDG specification tells us to ignore relative paths.
  if (const char* xdg = std::getenv(xdg_variable); xdg != nullptr && *xdg == '/')
    return ensure_dir(fs::path(xdg) / "kernelwright");
  KW_TRY(fs::path home, home_dir());
  return ensure_dir(home / below_home / "kernelwright");
}

}  // namespace

Result<fs::path> home_dir() {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return fs::path(home);
  const passwd* user = getpwuid(getuid());
  if (user == nullptr || user->pw_dir == nullptr)
    return fail(ErrorKind::kEnvironment, "HOME is not set and this user has no home folder");
  return fs::path(user->pw_dir);
}

Result<std::string> read_file(const fs::path& path, uint64_t limit) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    return fail(ErrorKind::kInput,
                fmt::format("cannot read '{}': {}", path.string(), std::strerror(errno)));
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0 || S_ISDIR(info.st_mode))
    return fail(ErrorKind::kInput, fmt::format("cannot read '{}': it is a folder", path.string()));
  std::string content;
  if (info.st_size > 0)
    content.reserve(std::min<uint64_t>(static_cast<uint64_t>(info.st_size), limit) + 1);
  char buffer[1 << 16];
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail(ErrorKind::kInput,
                  fmt::format("cannot read '{}': {}", path.string(), std::strerror(errno)));
    }
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
    if (content.size() > limit)
      return fail(ErrorKind::kInput,
                  fmt::format("'{}' is larger than {} bytes", path.string(), limit));
  }
}

Status write_file_atomic(const fs::path& path, std::string_view content) {
  static std::atomic<uint64_t> counter{0};
  const fs::path temporary =
      fs::path(path.string() + fmt::format(".tmp{}.{}", ::getpid(), counter++));
  auto failed = [&](int error) {
    return fail(ErrorKind::kEnvironment,
                fmt::format("cannot write '{}': {}", path.string(), std::strerror(error)));
  };
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return failed(errno);
  int error = write_all(fd.get(), content);
  // Some file systems report a full disk only here.
  if (::close(fd.release()) != 0 && error == 0) error = errno;
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    return failed(error);
  }
  return {};
}

Result<TempDir> TempDir::create(std::string_view prefix) {
  std::error_code ec;
  fs::path base = fs::temp_directory_path(ec);
  if (ec)
    return fail(ErrorKind::kEnvironment, fmt::format("no temporary folder: {}", ec.message()));
  std::string pattern = (base / fmt::format("{}.XXXXXX", prefix)).string();
  if (::mkdtemp(pattern.data()) == nullptr)
    return fail(ErrorKind::kEnvironment, fmt::format("cannot create a folder in '{}': {}",
                                                     base.string(), std::strerror(errno)));
  return TempDir(fs::path(pattern));
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, fs::path())) {}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

TempDir::~TempDir() {
  if (path_.empty()) return;
  std::error_code ec;
  fs::remove_all(path_, ec);
}

Result<fs::path> cache_dir() {
  return xdg_dir("KERNELWRIGHT_CACHE_DIR", "XDG_CACHE_HOME", ".cache");
}

Result<fs::path> data_dir() {
  return xdg_dir("KERNELWRIGHT_DATA_DIR", "XDG_DATA_HOME", ".local/share");
}

}  // namespace kernelwright::base

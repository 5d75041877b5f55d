// SPDX-License-Identifier: Apache-2.0
#include "base/shared_memory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace kernelwright::base {
namespace {

size_t whole_pages(size_t bytes) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return bytes == 0 ? page : (bytes + page - 1) / page * page;
}

tl::unexpected<Error> failed(const char* what, size_t bytes) {
  return fail(ErrorKind::kEnvironment, fmt::format("cannot {} {} bytes of shared memory: {}", what,
                                                   bytes, std::strerror(errno)));
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<SharedMemory> SharedMemory::create(const std::string& name, size_t bytes) {
  UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return failed("create", bytes);
  if (::ftruncate(fd.get(), static_cast<off_t>(whole_pages(bytes))) != 0)
    return failed("allocate", bytes);
  // A peer that could shrink the file could kill us with SIGBUS.
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
    return failed("seal", bytes);
  return map(std::move(fd), bytes, Access::kReadWrite);
}

Result<SharedMemory> SharedMemory::map(UniqueFd fd, size_t bytes, Access access) {
  // Refused for a read-only descriptor, whose owner has sealed the file already.
  (void)::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return failed("look at", bytes);
  if (info.st_size < 0 || static_cast<uint64_t>(info.st_size) < bytes)
    return fail(ErrorKind::kEnvironment,
                fmt::format("shared memory holds {} bytes where {} were announced",
                            static_cast<int64_t>(info.st_size), bytes));
  const int protection = access == Access::kRead ? PROT_READ : PROT_READ | PROT_WRITE;
  void* data = ::mmap(nullptr, whole_pages(bytes), protection, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) return failed("map", bytes);
  SharedMemory memory;
  memory.fd_ = std::move(fd);
  memory.data_ = static_cast<std::byte*>(data);
  memory.size_ = bytes;
  return memory;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, whole_pages(size_));
    fd_ = std::move(other.fd_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) ::munmap(data_, whole_pages(size_));
}

Result<UniqueFd> SharedMemory::read_only_fd() const {
  // O_RDONLY alone can be reopened for writing through /proc; the seal cannot be undone.
  if (::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0) {
    const int seals = ::fcntl(fd_.get(), F_GET_SEALS);
    if (seals < 0 || (seals & (F_SEAL_FUTURE_WRITE | F_SEAL_WRITE)) == 0)
      return failed("seal", size_);
  }
  UniqueFd fd(::open(fmt::format("/proc/self/fd/{}", fd_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failed("reopen", size_);
  return fd;
}

}  // namespace kernelwright::base

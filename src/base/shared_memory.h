// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace kernelwright::base {

// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  ~UniqueFd();
  int get() const { return fd_; }
  int release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A memfd mapped into this process, in whole pages.
class SharedMemory {
 public:
  enum class Access { kRead, kReadWrite };

  static Result<SharedMemory> create(const std::string& name, size_t bytes);
  // Maps a descriptor that another process made. The size is checked against the file's, and the
  // file is kept from shrinking where it allows that.
  static Result<SharedMemory> map(UniqueFd fd, size_t bytes, Access access);

  SharedMemory() = default;
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  SharedMemory(const SharedMemory&) = delete;
  ~SharedMemory();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }
  int fd() const { return fd_.get(); }
  // A descriptor of the same memory through which nobody can write. From then on the memory is
  // sealed: mappings made before stay writable, new ones cannot be. kEnvironment when the memory
  // was made by a process that left MFD_ALLOW_SEALING out.
  Result<UniqueFd> read_only_fd() const;

 private:
  UniqueFd fd_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace kernelwright::base

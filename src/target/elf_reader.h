// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace kernelwright::target {

// Bounds-checked access to an untrusted ELF file.
class ElfReader {
 public:
  explicit ElfReader(std::string_view file) : file_(file) {}

  bool holds(uint64_t offset, uint64_t size) const {
    return offset <= file_.size() && size <= file_.size() - offset;
  }
  template <class T>
  bool read(uint64_t offset, T& out) const {
    if (!holds(offset, sizeof(T))) return false;
    std::memcpy(&out, file_.data() + offset, sizeof(T));
    return true;
  }
  // The zero-terminated text at `offset`, which must end before `end`.
  std::optional<std::string> text(uint64_t offset, uint64_t end) const {
    if (end > file_.size() || offset >= end) return std::nullopt;
    const auto piece = file_.substr(offset, end - offset);
    const auto zero = piece.find('\0');
    if (zero == std::string_view::npos) return std::nullopt;
    return std::string(piece.substr(0, zero));
  }

 private:
  std::string_view file_;
};

}  // namespace kernelwright::target

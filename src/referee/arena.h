// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/shared_memory.h"

namespace kernelwright::referee {

// Tensors in one memfd, each in whole pages of its own with a canary band on the loose side. The
// judged process maps every region between two inaccessible guard pages (ArenaView); the
// coordinator maps the file flat and checks the bands itself.
struct ArenaRegion {
  uint64_t file_offset = 0;  // whole pages
  uint64_t file_bytes = 0;
  uint64_t tensor_offset = 0;  // within the region, multiple of 64
  uint64_t tensor_bytes = 0;
};
struct ArenaLayout {
  std::vector<ArenaRegion> regions;
  uint64_t file_bytes = 0;
};

// Which side of a tensor touches the guard page: kEnd lets no read past the end go unseen (up to
// the 63 bytes of alignment), kStart none before the start.
enum class Flush { kEnd, kStart };
ArenaLayout lay_out_arena(const std::vector<uint64_t>& tensor_bytes, Flush flush);

// The coordinator's side.
class Arena {
 public:
  // Bands are filled from a secret seed: a stray write cannot restore what it never saw outside.
  static Result<Arena> create(const std::string& name, const std::vector<uint64_t>& tensor_bytes,
                              Flush flush, uint64_t seed);
  const ArenaLayout& layout() const { return layout_; }
  // "input 0": what people call a region.
  void set_labels(std::vector<std::string> labels) { labels_ = std::move(labels); }
  const std::vector<std::string>& labels() const { return labels_; }
  std::byte* tensor(int region) const;
  uint64_t tensor_bytes(int region) const {
    return layout_.regions.at(static_cast<size_t>(region)).tensor_bytes;
  }
  int fd() const { return fd_.get(); }
  // From here on no process can write through a new mapping or the descriptor; ours stays writable.
  Status freeze();
  // "4 bytes before its start", "17 bytes past its end"; nullopt when the bands are intact.
  std::optional<std::string> damage(int region) const;
  void fill(int region, int byte);
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;

 private:
  Arena() = default;
  uint64_t band_word(uint64_t position) const;
  base::UniqueFd fd_;
  std::byte* data_ = nullptr;
  ArenaLayout layout_;
  std::vector<std::string> labels_;
  uint64_t seed_ = 0;
};

// The judged process's side.
class ArenaView {
 public:
  static Result<ArenaView> map(int fd, ArenaLayout layout, bool writable);
  std::byte* tensor(int region) const { return tensors_.at(static_cast<size_t>(region)); }
  uint64_t tensor_bytes(int region) const {
    return layout_.regions.at(static_cast<size_t>(region)).tensor_bytes;
  }
  int count() const { return static_cast<int>(tensors_.size()); }
  ~ArenaView();
  ArenaView(ArenaView&& other) noexcept;
  ArenaView& operator=(ArenaView&& other) noexcept;

 private:
  ArenaView() = default;
  std::byte* base_ = nullptr;
  size_t reserved_ = 0;
  ArenaLayout layout_;
  std::vector<std::byte*> tensors_;
};

}  // namespace kernelwright::referee

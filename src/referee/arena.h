// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/shared_memory.h"

namespace kernelwright::referee {

// Where tensors lie in shared memory that the coordinator made: in the segments of one arena, each
// with canary bands beside it. On the host there is one segment, a memfd; on a GPU each is an
// allocation of its own.
struct ArenaRegion {
  uint64_t file_offset = 0;  // in its segment; whole pages
  uint64_t file_bytes = 0;
  uint64_t tensor_offset = 0;  // within the region, multiple of 64
  uint64_t tensor_bytes = 0;
  int segment = 0;
};
struct ArenaLayout {
  std::vector<ArenaRegion> regions;
  std::vector<uint64_t> segments;  // bytes of each
};

// Which side of a tensor touches memory that is out of reach: kEnd lets no read past the end go
// unseen (up to the 63 bytes of alignment), kStart none before the start.
enum class Flush { kEnd, kStart };

// The coordinator's side. A Result fails on troubles of our own alone.
class Arena {
 public:
  virtual ~Arena() = default;
  const ArenaLayout& layout() const { return layout_; }
  // "input 0": what people call a region.
  void set_labels(std::vector<std::string> labels) { labels_ = std::move(labels); }
  const std::vector<std::string>& labels() const { return labels_; }
  int count() const { return static_cast<int>(layout_.regions.size()); }
  uint64_t tensor_bytes(int region) const {
    return layout_.regions.at(static_cast<size_t>(region)).tensor_bytes;
  }
  // Address in this process, of host or device memory.
  virtual std::byte* tensor(int region) const = 0;
  // One descriptor per segment, for other processes.
  virtual std::vector<int> fds() const = 0;
  // From here on no process can write through a new mapping or a descriptor; ours stays writable.
  virtual Status freeze() = 0;
  // "4 byte(s) before its start", "17 byte(s) past its end"; nullopt when the bands are intact.
  virtual Result<std::optional<std::string>> damage(int region) const = 0;
  virtual Status fill(int region, int byte) = 0;
  virtual Result<uint64_t> hash(int region) const = 0;
  virtual Status write(int region,
                       const std::byte* from) = 0;  // the whole tensor, from host memory

 protected:
  ArenaLayout layout_;
  std::vector<std::string> labels_;
};

// Tensors in one memfd, each in whole pages of its own with a canary band on the loose side. The
// judged process maps every region between two inaccessible guard pages (ArenaView); the
// coordinator maps the file flat and checks the bands itself.
ArenaLayout lay_out_arena(const std::vector<uint64_t>& tensor_bytes, Flush flush);

class HostArena final : public Arena {
 public:
  // Bands are filled from a secret seed: a stray write cannot restore what it never saw outside.
  static Result<std::unique_ptr<HostArena>> create(const std::string& name,
                                                   const std::vector<uint64_t>& tensor_bytes,
                                                   Flush flush, uint64_t seed);
  std::byte* tensor(int region) const override;
  std::vector<int> fds() const override { return {fd_.get()}; }
  int fd() const { return fd_.get(); }
  Status freeze() override;
  Result<std::optional<std::string>> damage(int region) const override;
  Status fill(int region, int byte) override;
  Result<uint64_t> hash(int region) const override;
  Status write(int region, const std::byte* from) override;
  HostArena(const HostArena&) = delete;
  HostArena& operator=(const HostArena&) = delete;
  ~HostArena() override;

 private:
  HostArena() = default;
  base::UniqueFd fd_;
  std::byte* data_ = nullptr;
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

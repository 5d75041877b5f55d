// SPDX-License-Identifier: Apache-2.0
#include "referee/arena.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/hash.h"
#include "referee/judge_math.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace kernelwright::referee {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kAlign = 64;
constexpr uint64_t kBand = 256;

uint64_t round_up(uint64_t value, uint64_t to) {
  return (value + to - 1) / to * to;
}

tl::unexpected<Error> os_failure(const std::string& what) {
  return fail(ErrorKind::kEnvironment, fmt::format("{}: {}", what, std::strerror(errno)));
}

}  // namespace

ArenaLayout lay_out_arena(const std::vector<uint64_t>& tensor_bytes, Flush flush) {
  ArenaLayout layout;
  uint64_t at = 0;
  for (uint64_t bytes : tensor_bytes) {
    ArenaRegion region;
    const uint64_t aligned = round_up(bytes, kAlign);
    region.file_offset = at;
    region.file_bytes = round_up(aligned + kBand, kPage);
    region.tensor_bytes = bytes;
    region.tensor_offset = flush == Flush::kEnd ? region.file_bytes - aligned : 0;
    at += region.file_bytes;
    layout.regions.push_back(region);
  }
  layout.segments = {std::max(at, kPage)};
  return layout;
}

Result<std::unique_ptr<HostArena>> HostArena::create(const std::string& name,
                                                     const std::vector<uint64_t>& tensor_bytes,
                                                     Flush flush, uint64_t seed) {
  std::unique_ptr<HostArena> arena(new HostArena());
  arena->layout_ = lay_out_arena(tensor_bytes, flush);
  arena->seed_ = seed;
  const uint64_t bytes = arena->layout_.segments[0];
  arena->fd_ = base::UniqueFd(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!arena->fd_) return os_failure("cannot create shared memory");
  if (ftruncate(arena->fd_.get(), static_cast<off_t>(bytes)) != 0)
    return os_failure(fmt::format("cannot reserve {} bytes of shared memory", bytes));
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd_.get(), 0);
  if (data == MAP_FAILED) return os_failure("cannot map shared memory");
  arena->data_ = static_cast<std::byte*>(data);
  // A judged process must not be able to cut the file short under our feet.
  if (fcntl(arena->fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
    return os_failure("cannot seal shared memory");
  for (const ArenaRegion& region : arena->layout_.regions) {
    for (uint64_t at = 0; at < region.file_bytes; at += 8) {
      const uint64_t begin = region.tensor_offset, end = region.tensor_offset + region.tensor_bytes;
      if (at >= begin && at + 8 <= end) {
        at = end / 8 * 8 - 8;  // jump over the tensor
        continue;
      }
      const uint64_t word = band_word(seed, region.file_offset + at);
      std::memcpy(arena->data_ + region.file_offset + at, &word, 8);
    }
  }
  return arena;
}

std::byte* HostArena::tensor(int region) const {
  const ArenaRegion& place = layout_.regions.at(static_cast<size_t>(region));
  return data_ + place.file_offset + place.tensor_offset;
}

Status HostArena::freeze() {
  if (fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0)
    return os_failure("cannot make shared memory read-only");
  return {};
}

Result<std::optional<std::string>> HostArena::damage(int region) const {
  const ArenaRegion& place = layout_.regions.at(static_cast<size_t>(region));
  const uint64_t begin = place.tensor_offset, end = begin + place.tensor_bytes;
  const std::byte* bytes = data_ + place.file_offset;
  auto wrong = [&](uint64_t at) {
    return bytes[at] != std::byte{band_byte(seed_, place.file_offset + at)};
  };
  for (uint64_t at = begin; at-- > 0;) {
    if (wrong(at)) return std::optional(fmt::format("{} byte(s) before its start", begin - at));
  }
  for (uint64_t at = end; at < place.file_bytes; ++at) {
    if (wrong(at)) return std::optional(fmt::format("{} byte(s) past its end", at - end + 1));
  }
  return std::optional<std::string>();
}

Status HostArena::fill(int region, int byte) {
  std::memset(tensor(region), byte, tensor_bytes(region));
  return {};
}

Result<uint64_t> HostArena::hash(int region) const {
  return base::fast_hash({tensor(region), tensor_bytes(region)});
}

Status HostArena::write(int region, const std::byte* from) {
  std::memcpy(tensor(region), from, tensor_bytes(region));
  return {};
}

HostArena::~HostArena() {
  if (data_) munmap(data_, layout_.segments[0]);
}

Result<ArenaView> ArenaView::map(int fd, ArenaLayout layout, bool writable) {
  ArenaView view;
  view.layout_ = std::move(layout);
  size_t reserved = kPage;
  for (const ArenaRegion& region : view.layout_.regions) reserved += region.file_bytes + kPage;
  void* base =
      mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return os_failure("cannot reserve address space");
  view.base_ = static_cast<std::byte*>(base);
  view.reserved_ = reserved;
  size_t at = kPage;
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  for (const ArenaRegion& region : view.layout_.regions) {
    void* place =
        mmap(view.base_ + at, region.file_bytes, protection, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
             fd, static_cast<off_t>(region.file_offset));
    if (place == MAP_FAILED) return os_failure("cannot map shared memory");
    view.tensors_.push_back(view.base_ + at + region.tensor_offset);
    at += region.file_bytes + kPage;
  }
  return view;
}

ArenaView::~ArenaView() {
  if (base_) munmap(base_, reserved_);
}
ArenaView::ArenaView(ArenaView&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      reserved_(other.reserved_),
      layout_(std::move(other.layout_)),
      tensors_(std::move(other.tensors_)) {}
ArenaView& ArenaView::operator=(ArenaView&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(reserved_, other.reserved_);
  std::swap(layout_, other.layout_);
  std::swap(tensors_, other.tensors_);
  return *this;
}

}  // namespace kernelwright::referee

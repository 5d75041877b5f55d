// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/arena.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <utility>

namespace kernelwright::runtime {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

Result<Arena> Arena::create(int64_t bytes) {
  Arena arena;
  if (bytes <= 0) return arena;
  size_t wanted = static_cast<size_t>(bytes);
  size_t align = wanted >= 2 * kHugePage ? kHugePage : kPage;
  size_t body = (wanted + kPage - 1) / kPage * kPage;
  size_t total = body + align + 2 * kPage;
  void* mapping =
      mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED)
    return fail(ErrorKind::kEnvironment,
                fmt::format("no memory for a workspace of {} bytes", bytes));
  const uintptr_t first = reinterpret_cast<uintptr_t>(mapping) + kPage;
  void* start = static_cast<std::byte*>(mapping) + kPage + (align - first % align) % align;
  arena.mapping_ = mapping;
  arena.mapped_ = total;
  if (mprotect(start, body, PROT_READ | PROT_WRITE) != 0)
    return fail(ErrorKind::kEnvironment,
                fmt::format("no memory for a workspace of {} bytes", bytes));
  if (align == kHugePage) madvise(start, body, MADV_HUGEPAGE);
  arena.data_ = static_cast<std::byte*>(start);
  arena.bytes_ = bytes;
  return arena;
}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

Arena::~Arena() {
  if (mapping_) munmap(mapping_, mapped_);
}

}  // namespace kernelwright::runtime

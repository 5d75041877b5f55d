// SPDX-License-Identifier: Apache-2.0
#include "referee/cuda/cuda_arena.h"

#include <fmt/format.h>

#include <algorithm>

namespace kernelwright::referee {
namespace {

using namespace kernelwright::cuda;

constexpr uint64_t kDeviceAlign = 256;  // as PyTorch's own tensors have it
constexpr uint64_t kDeviceBand = 256;

uint64_t device_round_up(uint64_t value, uint64_t to) {
  return (value + to - 1) / to * to;
}

}  // namespace

ArenaLayout lay_out_cuda_arena(const std::vector<uint64_t>& tensor_bytes, Flush flush,
                               uint64_t granularity) {
  ArenaLayout layout;
  const bool shared = tensor_bytes.size() > kMostSegments;
  if (shared) layout.segments.push_back(0);
  for (uint64_t bytes : tensor_bytes) {
    ArenaRegion region;
    region.tensor_bytes = bytes;
    const uint64_t aligned = device_round_up(bytes, kDeviceAlign);
    if (shared) {
      region.segment = 0;
      region.file_offset = layout.segments[0];
      region.file_bytes = aligned + kDeviceBand;
      layout.segments[0] += region.file_bytes;
    } else {
      region.segment = static_cast<int>(layout.segments.size());
      region.file_bytes = device_round_up(aligned + kDeviceBand, granularity);
      layout.segments.push_back(region.file_bytes);
    }
    region.tensor_offset = flush == Flush::kEnd ? region.file_bytes - aligned : 0;
    layout.regions.push_back(region);
  }
  if (shared) layout.segments[0] = device_round_up(layout.segments[0], granularity);
  return layout;
}

Result<std::unique_ptr<CudaMapping>> CudaMapping::map(const Driver& driver, int ordinal,
                                                      const std::vector<Handle>& handles,
                                                      const ArenaLayout& layout,
                                                      uint64_t granularity, bool writable) {
  if (handles.size() != layout.segments.size())
    return fail(ErrorKind::kInput, "one descriptor per segment is needed");
  std::unique_ptr<CudaMapping> mapping(new CudaMapping());
  mapping->driver_ = &driver;
  mapping->layout_ = layout;
  // An unmapped stretch before, between and after: what leaves a segment faults.
  size_t reserved = granularity;
  for (uint64_t bytes : layout.segments) reserved += bytes + granularity;
  KW_CHECK_OK(driver.mem_address_reserve(&mapping->base_, reserved, 0, 0, 0));
  mapping->reserved_ = reserved;
  Ptr at = mapping->base_ + granularity;
  for (size_t i = 0; i < handles.size(); ++i) {
    const size_t bytes = layout.segments[i];
    KW_CHECK_OK(driver.mem_map(at, bytes, 0, handles[i], 0));
    mapping->segments_.emplace_back(at, bytes);
    MemAccessDesc access;
    access.location.id = ordinal;
    access.access = writable ? kMemAccessReadWrite : kMemAccessRead;
    KW_CHECK_OK(driver.mem_set_access(at, bytes, &access, 1));
    at += bytes + granularity;
  }
  return mapping;
}

std::byte* CudaMapping::region(int region) const {
  const ArenaRegion& place = layout_.regions.at(static_cast<size_t>(region));
  // A device address, never followed here. NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<std::byte*>(segments_.at(static_cast<size_t>(place.segment)).first +
                                      place.file_offset);
}

std::byte* CudaMapping::tensor(int region) const {
  return this->region(region) + layout_.regions.at(static_cast<size_t>(region)).tensor_offset;
}

CudaMapping::~CudaMapping() {
  for (const auto& [at, bytes] : segments_) (void)driver_->mem_unmap.raw(at, bytes);
  if (base_) (void)driver_->mem_address_free.raw(base_, reserved_);
}

Result<std::unique_ptr<CudaArena>> CudaArena::create(std::shared_ptr<JudgeDevice> device,
                                                     const std::vector<uint64_t>& tensor_bytes,
                                                     Flush flush, uint64_t seed) {
  std::unique_ptr<CudaArena> arena(new CudaArena());
  arena->device_ = std::move(device);
  arena->seed_ = seed;
  const JudgeDevice& owner = *arena->device_;
  const Driver& driver = owner.driver();
  arena->layout_ = lay_out_cuda_arena(tensor_bytes, flush, owner.granularity());
  KW_TRY(ContextScope scope, owner.enter());
  MemAllocationProp prop;
  prop.handle_types = kMemHandlePosixFd;
  prop.location.id = owner.ordinal();
  uint64_t total = 0;
  for (uint64_t bytes : arena->layout_.segments) total += bytes;
  for (uint64_t bytes : arena->layout_.segments) {
    Handle handle = 0;
    if (auto status = driver.mem_create(&handle, bytes, &prop, 0); !status) {
      return fail(std::move(status.error())
                      .with("bytes", std::to_string(bytes))
                      .with("of", fmt::format("{} for one set of tensors", total)));
    }
    arena->handles_.push_back(handle);
    int fd = -1;
    KW_CHECK_OK(driver.mem_export_to_shareable_handle(&fd, handle, kMemHandlePosixFd, 0));
    arena->fds_.emplace_back(fd);
  }
  KW_TRY(arena->mapping_, CudaMapping::map(driver, owner.ordinal(), arena->handles_, arena->layout_,
                                           owner.granularity(), true));
  for (int i = 0; i < arena->count(); ++i) {
    const ArenaRegion& region = arena->layout_.regions[static_cast<size_t>(i)];
    KW_CHECK_OK(owner.write_bands(reinterpret_cast<Ptr>(arena->mapping_->region(i)),
                                  region.tensor_offset, region.tensor_offset + region.tensor_bytes,
                                  region.file_bytes, static_cast<uint64_t>(i) << 48, seed));
  }
  return arena;
}

std::vector<int> CudaArena::fds() const {
  std::vector<int> fds;
  fds.reserve(fds_.size());
  for (const base::UniqueFd& fd : fds_) fds.push_back(fd.get());
  return fds;
}

Result<std::optional<std::string>> CudaArena::damage(int index) const {
  const ArenaRegion& region = layout_.regions.at(static_cast<size_t>(index));
  KW_TRY(const JudgeDevice::Damage damage,
         device_->check_bands(reinterpret_cast<Ptr>(mapping_->region(index)), region.tensor_offset,
                              region.tensor_offset + region.tensor_bytes, region.file_bytes,
                              static_cast<uint64_t>(index) << 48, seed_));
  if (damage.before > 0)
    return std::optional(fmt::format("{} byte(s) before its start", damage.before));
  if (damage.after > 0) return std::optional(fmt::format("{} byte(s) past its end", damage.after));
  return std::optional<std::string>();
}

Status CudaArena::fill(int region, int byte) {
  return device_->fill(address(region), byte, tensor_bytes(region));
}

Result<uint64_t> CudaArena::hash(int region) const {
  return device_->hash(reinterpret_cast<Ptr>(mapping_->tensor(region)), tensor_bytes(region));
}

Status CudaArena::write(int region, const std::byte* from) {
  return device_->write(address(region), from, tensor_bytes(region));
}

CudaArena::~CudaArena() {
  if (release_) release_();
  auto scope = device_->enter();
  mapping_.reset();
  for (Handle handle : handles_) (void)device_->driver().mem_release.raw(handle);
}

}  // namespace kernelwright::referee

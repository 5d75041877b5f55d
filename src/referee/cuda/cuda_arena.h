// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "referee/arena.h"
#include "referee/cuda/judge_device.h"

namespace kernelwright::referee {

// Most allocations of one arena: their descriptors travel in one message.
inline constexpr size_t kMostSegments = 48;

// Each tensor in an allocation of its own, at one side of it; the rest is a canary band. More than
// kMostSegments tensors share one allocation, with bands of at least 256 bytes between them.
ArenaLayout lay_out_cuda_arena(const std::vector<uint64_t>& tensor_bytes, Flush flush,
                               uint64_t granularity);

// Address space with allocations mapped into it, each between two stretches that are not mapped.
class CudaMapping {
 public:
  // Imports nothing: `handles` are of this process; kept by the caller until this is destroyed.
  static Result<std::unique_ptr<CudaMapping>> map(const cuda::Driver& driver, int ordinal,
                                                  const std::vector<cuda::Handle>& handles,
                                                  const ArenaLayout& layout, uint64_t granularity,
                                                  bool writable);
  std::byte* tensor(int region) const;
  std::byte* region(int region) const;
  CudaMapping(const CudaMapping&) = delete;
  ~CudaMapping();

 private:
  CudaMapping() = default;
  const cuda::Driver* driver_ = nullptr;
  cuda::Ptr base_ = 0;
  size_t reserved_ = 0;
  std::vector<std::pair<cuda::Ptr, size_t>> segments_;
  ArenaLayout layout_;
};

class CudaArena final : public Arena {
 public:
  static Result<std::unique_ptr<CudaArena>> create(std::shared_ptr<JudgeDevice> device,
                                                   const std::vector<uint64_t>& tensor_bytes,
                                                   Flush flush, uint64_t seed);
  std::byte* tensor(int region) const override { return mapping_->tensor(region); }
  cuda::Ptr address(int region) const { return reinterpret_cast<cuda::Ptr>(tensor(region)); }
  std::vector<int> fds() const override;
  // A judged process maps read-only what it is told to before it loads a candidate, and keeps no
  // descriptor; there is nothing to seal.
  Status freeze() override { return {}; }
  Result<std::optional<std::string>> damage(int region) const override;
  Status fill(int region, int byte) override;
  Result<uint64_t> hash(int region) const override;
  Status write(int region, const std::byte* from) override;
  // Called before the memory goes: others who mapped it let go of it.
  void on_release(std::function<void()> release) { release_ = std::move(release); }
  ~CudaArena() override;

 private:
  CudaArena() = default;
  std::shared_ptr<JudgeDevice> device_;
  std::vector<cuda::Handle> handles_;
  std::vector<base::UniqueFd> fds_;
  std::unique_ptr<CudaMapping> mapping_;
  std::function<void()> release_;
  uint64_t seed_ = 0;
};

}  // namespace kernelwright::referee

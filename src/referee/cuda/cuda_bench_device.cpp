// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/elapsed.h"
#include "referee/bench_device.h"
#include "referee/cuda/cuda_arena.h"
#include "referee/cuda/cuda_space.h"
#include "referee/lockdown.h"

namespace kernelwright::referee {
namespace {

using namespace kernelwright::cuda;
using Clock = std::chrono::steady_clock;

// How long a stream is held back while the host queues a call: at first, and at most.
constexpr uint64_t kDelayNs = 40'000, kMostDelayNs = 80'000'000;
// Errors that leave a context useless: illegal accesses, traps and the like.
constexpr Code kFirstLost = 700, kLastLost = 720, kLaunchOutOfResources = 701;

class CudaView final : public BenchDevice::View {
 public:
  CudaView(const Driver& driver, std::vector<Handle> handles, std::unique_ptr<CudaMapping> mapping)
      : driver_(driver), handles_(std::move(handles)), mapping_(std::move(mapping)) {}
  CudaView(const CudaView&) = delete;
  ~CudaView() override {
    mapping_.reset();
    for (Handle handle : handles_) (void)driver_.mem_release.raw(handle);
  }
  std::byte* tensor(int region) const override { return mapping_->tensor(region); }

 private:
  const Driver& driver_;
  std::vector<Handle> handles_;
  std::unique_ptr<CudaMapping> mapping_;
};

class CudaBench final : public BenchDevice {
 public:
  Status open(const std::string& target) {
    KW_TRY(ordinal_, cuda_ordinal(target));
    KW_TRY(driver_, initialized_driver());
    Device device = 0;
    KW_CHECK_OK(driver_->device_get(&device, ordinal_));
    KW_CHECK_OK(driver_->primary_ctx_retain(&context_, device));
    // Current for good: the runtime's programs take it from here.
    KW_CHECK_OK(driver_->ctx_set_current(context_));
    KW_CHECK_OK(driver_->stream_create(&stream_, kStreamNonBlocking));
    KW_CHECK_OK(driver_->event_create(&start_, kEventDefault));
    KW_CHECK_OK(driver_->event_create(&end_, kEventDefault));
    KW_TRY(kernels_, JudgeKernels::load_delay(*driver_));
    MemAllocationProp prop;
    prop.handle_types = kMemHandlePosixFd;
    prop.location.id = device;
    size_t granularity = 0;
    KW_CHECK_OK(
        driver_->mem_get_allocation_granularity(&granularity, &prop, kMemGranularityMinimum));
    granularity_ = std::max<size_t>(granularity, 4096);
    int persisting = 0;
    KW_CHECK_OK(driver_->device_get_attribute(&persisting, kMaxPersistingL2CacheSize, device));
    persists_ = persisting > 0;
    return {};
  }

  Status lock_before_loading(const std::vector<int>&) override {
    // A checking tool talks to its other half by sockets.
    if (std::getenv("KERNELWRIGHT_BENCH_UNDER_TOOL")) return {};
    return lock_beside_driver();
  }
  Status configure(int, uint64_t flush_bytes) override {
    flush_bytes_ = flush_bytes;
    return {};
  }
  Status start() override { return {}; }
  Status lock_before_running() override { return {}; }

  Result<std::unique_ptr<View>> map(const std::vector<base::UniqueFd>& fds,
                                    const ArenaLayout& layout, bool writable) override {
    std::vector<Handle> handles;
    for (const base::UniqueFd& fd : fds) {
      Handle handle = 0;
      KW_CHECK_OK(driver_->mem_import_from_shareable_handle(
          // The driver takes the descriptor as a pointer. NOLINTNEXTLINE(performance-no-int-to-ptr)
          &handle, reinterpret_cast<void*>(static_cast<intptr_t>(fd.get())), kMemHandlePosixFd));
      handles.push_back(handle);
    }
    KW_TRY(auto mapping,
           CudaMapping::map(*driver_, ordinal_, handles, layout, granularity_, writable));
    return std::unique_ptr<View>(new CudaView(*driver_, std::move(handles), std::move(mapping)));
  }
  void* stream() const override { return stream_; }
  Status copy(std::byte* to, const std::byte* from, size_t bytes) override {
    if (bytes == 0) return {};
    return driver_->memcpy_dtod_async(reinterpret_cast<Ptr>(to), reinterpret_cast<Ptr>(from), bytes,
                                      stream_);
  }
  Status finish() override { return driver_->stream_synchronize(stream_); }

  Result<double> call(const Call& one) override {
    const auto begin = Clock::now();
    KW_CHECK_OK(one());
    KW_CHECK_OK(finish());
    return base::ms_since(begin);
  }

  Result<double> cold_call(const Call& one) override {
    for (;;) {
      KW_CHECK_OK(flush());
      uint64_t delay = delay_ns_;
      KW_CHECK_OK(kernels_.launch("kw_delay", 1, 1, stream_, {&delay}));
      KW_CHECK_OK(driver_->event_record(start_, stream_));
      KW_CHECK_OK(one());
      KW_CHECK_OK(driver_->event_record(end_, stream_));
      // The launch was hidden if the device had not got so far while the host was queuing.
      const bool hidden = driver_->event_query.raw(start_) == kErrorNotReady;
      KW_CHECK_OK(finish());
      if (hidden || delay_ns_ >= kMostDelayNs) break;
      delay_ns_ *= 2;
    }
    float ms = 0;
    KW_CHECK_OK(driver_->event_elapsed_time(&ms, start_, end_));
    return static_cast<double>(ms);
  }
  Result<double> cold_latency(const Call& one) override {
    KW_CHECK_OK(flush());
    KW_CHECK_OK(finish());
    return call(one);
  }
  bool hides_launch() const override { return true; }
  Result<double> calls(const Call& one, int count) override {
    const auto begin = Clock::now();
    for (int i = 0; i < count; ++i) KW_CHECK_OK(one());
    KW_CHECK_OK(finish());
    return base::ms_since(begin);
  }

  bool lost() override {
    const Code code = driver_->ctx_synchronize.raw();
    return code >= kFirstLost && code <= kLastLost && code != kLaunchOutOfResources;
  }

 private:
  // Nothing persists in the L2, and what it holds is a buffer of ours. The baselines' side does the
  // same (docs/torch-worker.md).
  Status flush() {
    if (flush_.bytes() == 0 && flush_bytes_ > 0) {
      KW_TRY(flush_, DeviceMemory::create(*driver_, static_cast<int64_t>(flush_bytes_)));
    }
    if (persists_) KW_CHECK_OK(driver_->ctx_reset_persisting_l2());
    if (flush_.bytes() == 0) return {};
    return driver_->memset_d32_async(flush_.data(), 0, flush_bytes_ / 4, stream_);
  }

  const Driver* driver_ = nullptr;
  int ordinal_ = 0;
  Context context_ = nullptr;
  Stream stream_ = nullptr;
  Event start_ = nullptr, end_ = nullptr;
  JudgeKernels kernels_;
  DeviceMemory flush_;  // made when it is first needed: a wrong candidate is never timed
  uint64_t flush_bytes_ = 0, granularity_ = 0;
  uint64_t delay_ns_ = kDelayNs;
  bool persists_ = false;
};

}  // namespace

// The process ends with its context: nothing is taken down.
Result<std::unique_ptr<BenchDevice>> cuda_bench_device(const std::string& target) {
  auto device = std::make_unique<CudaBench>();
  KW_CHECK_OK(device->open(target));
  return std::unique_ptr<BenchDevice>(std::move(device));
}

}  // namespace kernelwright::referee

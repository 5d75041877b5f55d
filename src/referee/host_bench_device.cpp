// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <chrono>
#include <cstring>

#include "kernelwright/runtime.h"
#include "referee/bench_device.h"
#include "referee/lockdown.h"

namespace kernelwright::referee {
namespace {

using Clock = std::chrono::steady_clock;

class HostView final : public BenchDevice::View {
 public:
  explicit HostView(ArenaView view) : view_(std::move(view)) {}
  std::byte* tensor(int region) const override { return view_.tensor(region); }

 private:
  ArenaView view_;
};

Status check(kw_status status, const char* what) {
  if (status == 0) return {};
  return fail(ErrorKind::kInput, fmt::format("{}: {}", what, kw_last_error()));
}

class HostBench final : public BenchDevice {
 public:
  Status lock_before_loading(const std::vector<int>& object_fds) override {
    kw_count_events();  // what cannot be counted is missing from profiles
    return referee::lock_before_loading(object_fds);
  }
  Status configure(int threads, uint64_t flush_bytes) override {
    flush_bytes_ = flush_bytes;
    return check(kw_set_threads(threads), "threads");
  }
  Status start() override { return check(kw_start_threads(), "threads"); }
  Status lock_before_running() override { return referee::lock_before_running(); }

  Result<std::unique_ptr<View>> map(const std::vector<base::UniqueFd>& fds,
                                    const ArenaLayout& layout, bool writable) override {
    if (fds.size() != 1) return fail(ErrorKind::kInput, "one descriptor is needed");
    KW_TRY(ArenaView view, ArenaView::map(fds[0].get(), layout, writable));
    return std::unique_ptr<View>(new HostView(std::move(view)));
  }
  Status copy(std::byte* to, const std::byte* from, size_t bytes) override {
    std::memcpy(to, from, bytes);
    return {};
  }
  Status finish() override { return {}; }

  Result<double> call(const Call& call) override {
    const auto start = Clock::now();
    KW_CHECK_OK(call());
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }
  Result<double> cold_call(const Call& one) override {
    flush();
    kw_wake();
    return call(one);
  }
  Result<double> cold_latency(const Call& one) override { return cold_call(one); }
  Result<double> calls(const Call& one, int count) override {
    double all = 0;
    for (int i = 0; i < count; ++i) {
      KW_TRY(const double ms, call(one));
      all += ms;
    }
    return all;
  }
  void rest() override { kw_park(); }

 private:
  // Every line of a buffer larger than the caches is read: what was cached before is gone, and
  // nothing is left to be written back during the call. The baselines' side does the same
  // (python/kernelwright/baselines.py).
  void flush() {
    if (flush_.empty()) flush_.assign(flush_bytes_, std::byte{1});
    for (size_t i = 0; i < flush_.size(); i += 64)
      static_cast<void>(*static_cast<volatile const std::byte*>(&flush_[i]));
  }

  uint64_t flush_bytes_ = 0;
  std::vector<std::byte> flush_;  // made when it is first needed: a wrong candidate is never timed
};

}  // namespace

std::unique_ptr<BenchDevice> host_bench_device() {
  return std::make_unique<HostBench>();
}

}  // namespace kernelwright::referee

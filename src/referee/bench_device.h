// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/shared_memory.h"
#include "referee/arena.h"

namespace kernelwright::referee {

// The judged process's side of a device: maps the coordinator's memory, calls, and times calls. One
// for the host, one for a GPU.
class BenchDevice {
 public:
  // A whole arena as this process sees it.
  class View {
   public:
    virtual ~View() = default;
    virtual std::byte* tensor(int region) const = 0;
  };
  // Queues or makes one call through the runtime.
  using Call = std::function<Status()>;

  virtual ~BenchDevice() = default;
  // How the process locks itself in: before any object is loaded, and before a kernel runs.
  virtual Status lock_before_loading(const std::vector<int>& object_fds) = 0;
  virtual Status lock_before_running() = 0;
  // `flush_bytes` are read or rewritten to make caches cold. Before loading; start() after it.
  virtual Status configure(int threads, uint64_t flush_bytes) = 0;
  virtual Status start() = 0;

  virtual Result<std::unique_ptr<View>> map(const std::vector<base::UniqueFd>& fds,
                                            const ArenaLayout& layout, bool writable) = 0;
  // What the runtime's calls are given as their stream.
  virtual void* stream() const { return nullptr; }
  // Between tensors of the views; in order with calls.
  virtual Status copy(std::byte* to, const std::byte* from, size_t bytes) = 0;
  // Waits for all that is queued.
  virtual Status finish() = 0;

  // ms of one call as it comes, waited for.
  virtual Result<double> call(const Call& call) = 0;
  // ms of one call with cold caches; on a GPU its device time, the launch hidden.
  virtual Result<double> cold_call(const Call& call) = 0;
  // ms of one cold call by the host's clock, the launch included. The same on the host.
  virtual Result<double> cold_latency(const Call& call) = 0;
  // Whether cold_latency is another figure than cold_call.
  virtual bool hides_launch() const { return false; }
  // ms of `count` calls back to back.
  virtual Result<double> calls(const Call& call, int count) = 0;
  // Nothing of ours stays busy.
  virtual void rest() {}
  // After a failed call: whether the device's context is lost, as after an illegal access.
  virtual bool lost() { return false; }
};

std::unique_ptr<BenchDevice> host_bench_device();
// `target`: "cuda", "cuda:1". Makes a context on it, so that a warm worker has one.
Result<std::unique_ptr<BenchDevice>> cuda_bench_device(const std::string& target);

}  // namespace kernelwright::referee

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "target/cpu/runtime/barrier.h"

namespace kernelwright::runtime {

// Worker threads that cut index ranges among themselves. The caller takes part as worker 0, so a
// pool of one has no threads. Idle workers spin for some hundreds of microseconds, then sleep. One
// launch at a time: hold lock() around run_ranges() and run_team().
class Pool {
 public:
  // Called as body(context, worker, begin, end).
  using Body = void (*)(void* context, int worker, int64_t begin, int64_t end);

  Pool() = default;
  Pool(const Pool&) = delete;
  ~Pool();

  static constexpr int kMaxThreads = 1024;
  int threads() const { return threads_.load(std::memory_order_relaxed); }
  std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

  // Takes the lock itself. Threads start with the first launch that needs them.
  void set_threads(int count);
  // Starts the workers now. Takes the lock itself.
  void start() {
    std::lock_guard guard(mutex_);
    start_workers();
  }
  // Returns when every worker is running. Takes the lock itself.
  void wake();
  // Lets idle workers sleep now. Needs no lock.
  void park() { park_requests_.fetch_add(1, std::memory_order_release); }

  // Covers 0..total-1 once with ranges of at least `grain` indices (the last may be shorter); 0
  // leaves the size to the pool. Every worker begins in a part of its own, the same one each time,
  // and takes from others when it is done. Returns when all ranges are done.
  void run_ranges(Body body, void* context, int64_t total, int64_t grain);
  // Calls body(context, worker, 0, total) once on every worker at the same time.
  void run_team(Body body, void* context, int64_t total);
  // For team bodies.
  void team_barrier() { barrier_.wait(); }

 private:
  struct alignas(64) Part {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  // What is being run; written by the caller while no worker is inside.
  struct Job {
    Body body = nullptr;
    void* context = nullptr;
    int64_t total = 0;
    int64_t chunk = 1;
    bool team = false;
    uint32_t generation = 0;
    uint32_t float_control = 0;
  };

  void start_workers();
  void stop_workers();
  void worker_main(int worker);
  void wait_for_job(uint32_t last);
  void publish(int wanted_workers);
  void finish();
  void work(int worker);

  std::mutex mutex_;
  std::atomic<int> threads_{1};
  int spins_ = 0;
  std::vector<std::thread> workers_;
  std::unique_ptr<Part[]> parts_;
  Job job_;
  SpinBarrier barrier_;

  alignas(64) std::atomic<uint32_t> generation_{0};  // futex; changes with every job
  alignas(64) std::atomic<bool> open_{false};        // workers may enter the job
  alignas(64) std::atomic<int> inside_{0};           // workers that look at the job
  alignas(64) std::atomic<int> team_left_{0};
  alignas(64) std::atomic<int> asleep_{0};
  std::atomic<uint32_t> park_requests_{0};
  std::atomic<bool> stopping_{false};
};

// The pool of this process. After a fork the child has a fresh one with the same thread count; a
// fork while another thread is inside kw_run leaves that program unusable in the child.
Pool& process_pool();

// What the dispatch thread may use: the number of cores in this process's affinity mask.
int available_cores();

}  // namespace kernelwright::runtime

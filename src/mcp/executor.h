// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace kernelwright::mcp {

// Set from anywhere; asked by the work itself between its steps.
class Cancellation {
 public:
  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

 private:
  std::atomic<bool> cancelled_{false};
};
using CancellationRef = std::shared_ptr<Cancellation>;

// Runs work in the order in which it came, on one thread that lives as long as this object: a
// workload's processes end with the thread that started them, and one program is timed at a time.
class Executor {
 public:
  Executor();
  // Cancels what runs and drops what waits; then waits for the thread.
  ~Executor();
  Executor(const Executor&) = delete;

  // `work` is run unless it was cancelled while it waited; `dropped` instead of it, then.
  void post(CancellationRef cancellation, std::function<void()> work,
            std::function<void()> dropped);
  // Nothing runs and nothing waits.
  bool idle() const;
  // Cancels what runs and what waits; more work is refused (dropped) from now on. `last`, when
  // there is one, is run after all else.
  void stop(std::function<void()> last = nullptr);

 private:
  struct Job {
    CancellationRef cancellation;
    std::function<void()> work, dropped;
  };
  void loop();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> waiting_;
  CancellationRef running_;
  bool stopping_ = false;
  std::function<void()> last_;
  std::thread thread_;
};

}  // namespace kernelwright::mcp

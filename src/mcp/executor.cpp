// SPDX-License-Identifier: Apache-2.0
#include "mcp/executor.h"

namespace kernelwright::mcp {

Executor::Executor() : thread_([this] { loop(); }) {}

Executor::~Executor() {
  stop();
  thread_.join();
}

void Executor::post(CancellationRef cancellation, std::function<void()> work,
                    std::function<void()> dropped) {
  {
    std::lock_guard lock(mutex_);
    if (!stopping_) {
      waiting_.push_back({std::move(cancellation), std::move(work), std::move(dropped)});
      changed_.notify_one();
      return;
    }
  }
  dropped();
}

bool Executor::idle() const {
  std::lock_guard lock(mutex_);
  return waiting_.empty() && !running_ && !last_;
}

void Executor::stop(std::function<void()> last) {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  if (last) last_ = std::move(last);
  if (running_) running_->cancel();
  for (auto& job : waiting_) job.cancellation->cancel();
  changed_.notify_one();
}

void Executor::loop() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      running_.reset();
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) break;
      job = std::move(waiting_.front());
      waiting_.pop_front();
      running_ = job.cancellation;
    }
    if (job.cancellation->cancelled())
      job.dropped();
    else
      job.work();
  }
  if (last_) last_();
  std::lock_guard lock(mutex_);
  last_ = nullptr;
}

}  // namespace kernelwright::mcp

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "target/cpu/runtime/spin.h"

namespace kernelwright::runtime {

// A barrier for `count` threads that stays usable: the last to arrive flips the phase that the
// others watch (a sense-reversing barrier whose sense is a counter). Everything written before
// wait() by any thread is seen by all after it.
class SpinBarrier {
 public:
  // Only while nobody waits.
  void reset(int count, int spins) {
    count_ = count;
    spins_ = spins;
    arrived_.store(0, std::memory_order_relaxed);
  }

  void wait() {
    uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
      return;
    }
    spin_until([&] { return phase_.load(std::memory_order_acquire) != phase; }, spins_);
  }

 private:
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
  int count_ = 1;
  int spins_ = 0;
};

}  // namespace kernelwright::runtime

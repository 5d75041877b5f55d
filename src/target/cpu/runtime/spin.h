// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

namespace kernelwright::runtime {

inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits for a condition that another thread is about to make true: first by spinning, then by
// giving the core away, so that it also ends when threads outnumber cores.
template <class Condition>
void spin_until(Condition&& condition, int spins) {
  for (int i = 0; i < spins; ++i) {
    if (condition()) return;
    cpu_relax();
  }
  while (!condition()) sched_yield();
}

// Sleeps while `word` holds `expected`; returns at once when it does not. May wake without cause.
inline void futex_wait(std::atomic<uint32_t>& word, uint32_t expected) {
  static_assert(sizeof(word) == 4);
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, expected, nullptr,
          nullptr, 0);
}
inline void futex_wake(std::atomic<uint32_t>& word, int count) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, count, nullptr,
          nullptr, 0);
}

}  // namespace kernelwright::runtime

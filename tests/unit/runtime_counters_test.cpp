// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <thread>

#include "target/cpu/runtime/counters.h"

namespace kernelwright::runtime {
namespace {

constexpr size_t kPages = 300;

// Every page for the first time.
void touch_fresh_pages() {
  auto* pages = static_cast<volatile char*>(
      mmap(nullptr, kPages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<volatile void*>(pages), MAP_FAILED);
  madvise(const_cast<char*>(pages), kPages * 4096, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < kPages; ++i) pages[i * 4096] = 1;
  munmap(const_cast<char*>(pages), kPages * 4096);
}

TEST(Counters, CountThisThreadAndThoseStartedLater) {
  Counters counters;
  if (counters.open() == 0)
    GTEST_SKIP() << "perf_event_open is not permitted here (perf_event_paranoid, or a sandbox)";
  const auto before = counters.read();
  touch_fresh_pages();
  std::thread other(touch_fresh_pages);
  other.join();
  kw_counts counts = kNothingCounted;
  add_counts(counts, before, counters.read());
  EXPECT_GE(counts.page_faults, static_cast<int64_t>(2 * kPages));
  EXPECT_LT(counts.page_faults, static_cast<int64_t>(4 * kPages));
  // What this machine counts besides is more than nothing.
  for (const int64_t figure : {counts.cycles, counts.instructions})
    EXPECT_TRUE(figure == -1 || figure > 100000) << figure;
}

TEST(Counters, WhatIsNotOpenIsNotCounted) {
  Counters counters;
  kw_counts counts = kNothingCounted;
  const auto before = counters.read();
  add_counts(counts, before, counters.read());
  EXPECT_EQ(counts.cycles, -1);
  EXPECT_EQ(counts.page_faults, -1);
}

// Two of five events on one counter: each had it half of the time.
TEST(Counters, TurnsOnACounterAreMadeUpFor) {
  Counters::Snapshot before, after;
  before[0] = {1000, 100, 100};
  after[0] = {1500, 300, 200};
  after[1] = {70, 50, 50};
  kw_counts counts = kNothingCounted;
  add_counts(counts, before, after);
  EXPECT_EQ(counts.cycles, 1000);
  EXPECT_EQ(counts.instructions, 70);
  EXPECT_EQ(counts.cache_misses, -1);
  add_counts(counts, before, after);
  EXPECT_EQ(counts.cycles, 2000);
}

}  // namespace
}  // namespace kernelwright::runtime

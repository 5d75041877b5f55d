// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/runtime/counters.h"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace kernelwright::runtime {
namespace {

struct Event {
  uint32_t type;
  uint64_t config;
  int64_t kw_counts::* figure;
};
constexpr uint64_t kLoadMissesOfDataTlb = PERF_COUNT_HW_CACHE_DTLB |
                                          (PERF_COUNT_HW_CACHE_OP_READ << 8) |
                                          (PERF_COUNT_HW_CACHE_RESULT_MISS << 16);
constexpr std::array<Event, Counters::kEvents> kCounted = {{
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, &kw_counts::cycles},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, &kw_counts::instructions},
    {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES, &kw_counts::cache_misses},
    {PERF_TYPE_HW_CACHE, kLoadMissesOfDataTlb, &kw_counts::tlb_misses},
    {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, &kw_counts::page_faults},
}};

int open_event(const Event& event) {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = event.type;
  attributes.config = event.config;
  attributes.inherit = 1;
  attributes.exclude_kernel = 1;  // what perf_event_paranoid 2, the usual setting, permits
  attributes.exclude_hv = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return static_cast<int>(
      syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

Counters::Counters() {
  fds_.fill(-1);
}

Counters::~Counters() {
  for (const int fd : fds_)
    if (fd >= 0) close(fd);
}

int Counters::open() {
  int count = 0;
  for (size_t i = 0; i < kEvents; ++i) {
    if (fds_[i] < 0) fds_[i] = open_event(kCounted[i]);
    count += fds_[i] >= 0 ? 1 : 0;
  }
  return count;
}

Counters::Snapshot Counters::read() const {
  Snapshot snapshot;
  for (size_t i = 0; i < kEvents; ++i) {
    Reading reading;
    if (fds_[i] >= 0 && ::read(fds_[i], &reading, sizeof reading) == sizeof reading)
      snapshot[i] = reading;
  }
  return snapshot;
}

void add_counts(kw_counts& counts, const Counters::Snapshot& before,
                const Counters::Snapshot& after) {
  for (size_t i = 0; i < Counters::kEvents; ++i) {
    const Counters::Reading &from = before[i], &to = after[i];
    if (to.counted_ns <= from.counted_ns || to.value < from.value) continue;
    // Where events take turns on a counter, the rest of the time is taken to have been alike.
    const double share = static_cast<double>(to.wanted_ns - from.wanted_ns) /
                         static_cast<double>(to.counted_ns - from.counted_ns);
    int64_t& figure = counts.*kCounted[i].figure;
    figure = std::max<int64_t>(figure, 0) +
             std::llround(static_cast<double>(to.value - from.value) * share);
  }
}

Counters& process_counters() {
  static Counters counters;
  return counters;
}

}  // namespace kernelwright::runtime

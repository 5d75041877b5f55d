// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernelwright/runtime.h"

namespace kernelwright::runtime {

// The events of kw_counts as Linux counts them (perf_event_open(2)), for the threads of this
// process. What a machine does not count (many virtual ones), or perf_event_paranoid and the
// sandbox forbid, is left out.
class Counters {
 public:
  static constexpr size_t kEvents = 5;

  Counters();
  Counters(const Counters&) = delete;
  ~Counters();

  // For the calling thread and those that it starts from now on: before the pool has threads, and
  // before system calls are filtered. The number of events that are counted; once open, it stays.
  int open();

  // An event so far, and for how much of the time that it was wanted it had a counter.
  struct Reading {
    uint64_t value = 0, wanted_ns = 0, counted_ns = 0;
  };
  using Snapshot = std::array<Reading, kEvents>;
  Snapshot read() const;

 private:
  std::array<int, kEvents> fds_;
};

// Adds what happened between two snapshots; events that had no counter then stay as they are.
void add_counts(kw_counts& counts, const Counters::Snapshot& before,
                const Counters::Snapshot& after);
inline constexpr kw_counts kNothingCounted = {-1, -1, -1, -1, -1};

Counters& process_counters();

}  // namespace kernelwright::runtime

// SPDX-License-Identifier: Apache-2.0
// One launch of a CPU kernel as tests carry it out, here or on an emulated machine (arm/host.cpp):
// needs nothing but the standard library and the kernel's interface.
#pragma once

#include <algorithm>
#include <array>
#include <barrier>
#include <cstdint>
#include <thread>
#include <vector>

#include "kernelwright/kernel_abi.h"

namespace kernelwright::testing {

inline constexpr int kWorkers = 2;

struct CpuLaunch {
  bool team = false;
  int64_t grid = 1, grain = 1, scratch_bytes = 0;
};

// The workers of a team together, else ranges of `grain` points by one worker after the other.
// `scratch` has a place per worker.
inline void carry_out(kw_kernel kernel, const CpuLaunch& launch, void* const* buffers,
                      const std::array<void*, kWorkers>& scratch) {
  struct Team {
    std::barrier<> meeting{kWorkers};
  } team;
  const auto call = [&](int worker, int64_t begin, int64_t end) {
    kw_args args{};
    args.buffers = buffers;
    args.worker = worker;
    args.worker_count = kWorkers;
    args.scratch = scratch[static_cast<size_t>(worker)];
    args.scratch_bytes = launch.scratch_bytes;
    if (launch.team) {
      args.barrier = [](kw_team* t) { reinterpret_cast<Team*>(t)->meeting.arrive_and_wait(); };
      args.team = reinterpret_cast<kw_team*>(&team);
    }
    kernel(&args, begin, end);
  };
  if (launch.team) {
    std::vector<std::thread> workers;
    for (int w = 0; w < kWorkers; ++w) workers.emplace_back(call, w, 0, launch.grid);
    for (std::thread& worker : workers) worker.join();
    return;
  }
  int worker = 0;
  for (int64_t begin = 0; begin < launch.grid; begin += launch.grain) {
    call(worker, begin, std::min(launch.grid, begin + launch.grain));
    worker = (worker + 1) % kWorkers;
  }
}

}  // namespace kernelwright::testing

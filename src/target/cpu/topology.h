// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kernelwright::target {

// A data cache level as this process may use it.
struct CacheLevel {
  int level = 0;
  int64_t total_bytes = 0;       // over all instances that serve one of our CPUs
  int64_t bytes_per_thread = 0;  // total / threads
};

// "AMD EPYC, 2 threads": the model and what this process may use of it.
std::string cpu_device_name();
// Threads that this process may run at once (affinity mask).
int cpu_threads();
// Vendor, family, model, stepping and features of the first CPU, as the system prints them.
std::string cpu_signature();
// Share of the machine's processor time that was in use during the last moment (0 to 1); waits 60
// ms.
double cpu_busy_share();
// Nearest first, from sysfs, else from sysconf; empty when nothing is known. A hypervisor may
// report odd sizes.
std::vector<CacheLevel> cpu_caches();

}  // namespace kernelwright::target

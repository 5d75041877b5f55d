// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/topology.h"

#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "base/file.h"
#include "base/processor_use.h"

namespace kernelwright::target {
namespace {

cpu_set_t allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
  return set;
}

std::string cpu_info() {
  const auto text = base::read_file("/proc/cpuinfo", 16 << 20);
  return text ? *text : "";
}

std::string word_of(const std::filesystem::path& file) {
  const auto text = base::read_file(file, 4096);
  return text ? text->substr(0, text->find_first_of(" \n")) : "";
}

int64_t parse_size(const std::string& text) {
  char* end = nullptr;
  const int64_t value = std::strtoll(text.c_str(), &end, 10);
  const int64_t unit = end != nullptr && *end == 'K'   ? 1024
                       : end != nullptr && *end == 'M' ? 1 << 20
                                                       : 1;
  return value > 0 && value < (1ll << 40) ? value * unit : 0;
}

}  // namespace

int cpu_threads() {
  const cpu_set_t set = allowed_cpus();
  return std::max(1, CPU_COUNT(&set));
}

std::string cpu_device_name() {
  std::string model = "CPU";
  std::istringstream lines(cpu_info());
  std::string line;
  while (std::getline(lines, line)) {
    const auto colon = line.find(": ");
    if (!line.starts_with("model name") || colon == std::string::npos) continue;
    model = line.substr(colon + 2);
    break;
  }
  const int threads = cpu_threads();
  return fmt::format("{}, {} thread{}", model, threads, threads == 1 ? "" : "s");
}

std::string cpu_signature() {
  std::string signature;
  std::istringstream lines(cpu_info());
  std::string line;
  while (std::getline(lines, line) && !line.empty())
    if (line.starts_with("vendor_id") || line.starts_with("cpu family") ||
        line.starts_with("model") || line.starts_with("stepping") || line.starts_with("flags"))
      signature += line + "\n";
  return signature;
}

double cpu_busy_share() {
  const auto before = base::processor_use();
  ::usleep(60'000);
  return base::used_share(before, base::processor_use());
}

std::vector<CacheLevel> cpu_caches() {
  namespace fs = std::filesystem;
  const cpu_set_t allowed = allowed_cpus();
  // Level -> the distinct caches (by who shares them) and their sizes.
  std::map<int, std::map<std::string, int64_t>> found;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    const fs::path folder = fmt::format("/sys/devices/system/cpu/cpu{}/cache", cpu);
    for (int index = 0; index < 8; ++index) {
      const fs::path cache = folder / fmt::format("index{}", index);
      const std::string type = word_of(cache / "type");
      if (type != "Data" && type != "Unified") continue;
      const int level = std::atoi(word_of(cache / "level").c_str());
      const int64_t bytes = parse_size(word_of(cache / "size"));
      std::string shared = word_of(cache / "shared_cpu_list");
      if (shared.empty()) shared = std::to_string(cpu);
      if (level >= 1 && level <= 4 && bytes > 0) found[level][shared] = bytes;
    }
  }
  if (found.empty()) {
    const std::pair<int, int> names[] = {
        {1, _SC_LEVEL1_DCACHE_SIZE}, {2, _SC_LEVEL2_CACHE_SIZE}, {3, _SC_LEVEL3_CACHE_SIZE}};
    for (const auto& [level, name] : names) {
      const long bytes = ::sysconf(name);
      if (bytes <= 0) continue;
      for (int i = 0; i < (level < 3 ? cpu_threads() : 1); ++i)
        found[level][std::to_string(i)] = bytes;
    }
  }
  std::vector<CacheLevel> levels;
  for (const auto& [level, caches] : found) {
    CacheLevel entry{level, 0, 0};
    for (const auto& [shared, bytes] : caches) entry.total_bytes += bytes;
    entry.bytes_per_thread = entry.total_bytes / cpu_threads();
    levels.push_back(entry);
  }
  return levels;
}

}  // namespace kernelwright::target

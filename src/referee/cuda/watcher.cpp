// SPDX-License-Identifier: Apache-2.0
#include "referee/cuda/watcher.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace kernelwright::referee {
namespace {

using NvmlDevice = struct NvmlDeviceHandle*;
struct NvmlProcess {
  unsigned pid;
  unsigned long long bytes;
  unsigned gpu_instance, compute_instance;
};
constexpr int kClockSm = 1, kClockMemory = 2;
constexpr auto kPeriod = std::chrono::milliseconds(25);

struct Nvml {
  int (*init)() = nullptr;
  int (*by_pci)(const char*, NvmlDevice*) = nullptr;
  int (*clock)(NvmlDevice, int, unsigned*) = nullptr;
  int (*reasons)(NvmlDevice, unsigned long long*) = nullptr;
  int (*processes)(NvmlDevice, unsigned*, NvmlProcess*) = nullptr;
  bool usable = false;
};

const Nvml& nvml() {
  static const Nvml table = [] {
    Nvml out;
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return out;
    auto find = [&](auto& function, const char* name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      return function != nullptr;
    };
    out.usable = find(out.init, "nvmlInit_v2") &&
                 find(out.by_pci, "nvmlDeviceGetHandleByPciBusId_v2") &&
                 find(out.clock, "nvmlDeviceGetClockInfo") &&
                 find(out.reasons, "nvmlDeviceGetCurrentClocksThrottleReasons") &&
                 find(out.processes, "nvmlDeviceGetComputeRunningProcesses_v3") && out.init() == 0;
    return out;
  }();
  return table;
}

// This process and its children, and theirs.
std::set<unsigned> our_processes() {
  std::map<unsigned, unsigned> parents;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream stat(entry.path() / "stat");
    std::string text;
    std::getline(stat, text);
    const size_t end = text.rfind(')');
    unsigned parent = 0;
    char state = 0;
    if (end == std::string::npos ||
        std::sscanf(text.c_str() + end + 1, " %c %u", &state, &parent) != 2)
      continue;
    parents[static_cast<unsigned>(std::stoul(name))] = parent;
  }
  std::set<unsigned> ours = {static_cast<unsigned>(getpid())};
  for (bool grew = true; grew;) {
    grew = false;
    for (const auto& [pid, parent] : parents) {
      if (ours.contains(parent)) grew = ours.insert(pid).second || grew;
    }
  }
  return ours;
}

std::string process_name(unsigned pid) {
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::string name;
  std::getline(file, name);
  return name;
}

class NvmlWatcher final : public DeviceWatcher {
 public:
  explicit NvmlWatcher(NvmlDevice device) : device_(device) {}
  ~NvmlWatcher() override { end(); }

  void start() override {
    end();
    seen_ = Conditions();
    reasons_ = 0;
    running_ = true;
    thread_ = std::thread([this] {
      std::unique_lock lock(mutex_);
      while (running_) {
        sample();
        wake_.wait_for(lock, kPeriod);
      }
    });
  }

  Conditions stop() override {
    if (!running_) return {};
    end();
    seen_.throttled = throttle_text(reasons_);
    seen_.busy = others();
    return seen_;
  }

 private:
  void end() {
    {
      std::lock_guard lock(mutex_);
      running_ = false;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  // Of the clocks the lowest at work counts.
  void sample() {
    unsigned core = 0, memory = 0;
    unsigned long long reasons = 0;
    if (nvml().reasons(device_, &reasons) == 0) reasons_ |= reasons;
    if ((reasons & 1) != 0) return;  // idle
    if (nvml().clock(device_, kClockSm, &core) == 0 && core > 0)
      seen_.core_mhz = seen_.core_mhz == 0 ? static_cast<int>(core)
                                           : std::min(seen_.core_mhz, static_cast<int>(core));
    if (nvml().clock(device_, kClockMemory, &memory) == 0)
      seen_.memory_mhz = static_cast<int>(memory);
  }

  std::string others() const {
    std::vector<NvmlProcess> list(64);
    auto count = static_cast<unsigned>(list.size());
    if (nvml().processes(device_, &count, list.data()) != 0) return "";
    list.resize(std::min<size_t>(count, list.size()));
    const std::set<unsigned> ours = our_processes();
    std::string text;
    // Process numbers of another namespace (a container's host) tell only how many there are.
    size_t foreign = 0, known = 0;
    for (const NvmlProcess& process : list) {
      if (ours.contains(process.pid)) {
        ++known;
        continue;
      }
      ++foreign;
      if (const std::string name = process_name(process.pid); !name.empty())
        text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", name, process.pid);
    }
    if (known == 0 && foreign <= ours.size()) return "";
    if (foreign == 0) return "";
    return text.empty() ? fmt::format("{} other process(es)", foreign) : text;
  }

  NvmlDevice device_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
  bool running_ = false;
  Conditions seen_;
  unsigned long long reasons_ = 0;
};

}  // namespace

std::string throttle_text(unsigned long long reasons) {
  struct Reason {
    unsigned long long bit;
    const char* name;
  };
  constexpr Reason kReasons[] = {{0x04, "power cap"},
                                 {0x08, "hardware slowdown"},
                                 {0x20, "thermal"},
                                 {0x40, "hardware thermal"},
                                 {0x80, "power brake"}};
  std::string text;
  for (const Reason& reason : kReasons) {
    if ((reasons & reason.bit) != 0)
      text += fmt::format("{}{}", text.empty() ? "" : ", ", reason.name);
  }
  return text;
}

std::unique_ptr<DeviceWatcher> watch_device(const std::string& pci_bus_id) {
  if (!nvml().usable) return nullptr;
  NvmlDevice device = nullptr;
  if (nvml().by_pci(pci_bus_id.c_str(), &device) != 0) return nullptr;
  return std::make_unique<NvmlWatcher>(device);
}

}  // namespace kernelwright::referee

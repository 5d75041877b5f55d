// SPDX-License-Identifier: Apache-2.0
#include "target/cpu/probe.h"

#include <fmt/core.h>
#include <sched.h>

#include <sstream>

#include "base/file.h"

namespace kernelwright::target {

int cpu_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::string cpu_device_name() {
  std::string model = "CPU";
  if (const auto text = base::read_file("/proc/cpuinfo", 16 << 20)) {
    std::istringstream lines(*text);
    std::string line;
    while (std::getline(lines, line)) {
      const auto colon = line.find(": ");
      if (line.starts_with("model name") && colon != std::string::npos) {
        model = line.substr(colon + 2);
        break;
      }
    }
  }
  return fmt::format("{}, {} threads", model, cpu_threads());
}

Result<MachineModel> cpu_machine_model(const Compiler& compiler, bool remeasure) {
  return fail(ErrorKind::kEnvironment, "the machine model is not measured yet");
}

}  // namespace kernelwright::target

// SPDX-License-Identifier: Apache-2.0
#include "base/processor_use.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>

#include "base/file.h"

namespace kernelwright::base {
namespace {

constexpr size_t kMostBytes = 1 << 20;

struct Process {
  int parent = 0;
  double ticks = 0;
};

std::map<int, Process> processes() {
  std::map<int, Process> found;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", code)) {
    const std::string name = entry.path().filename();
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr !=
        name.data() + name.size())
      continue;
    const auto text = read_file(entry.path() / "stat", kMostBytes);
    Process process;
    if (text && internal::parse_process(*text, &process.parent, &process.ticks))
      found[pid] = process;
  }
  return found;
}

// Whether `pid` is `ancestor` or descends from it.
bool descends(const std::map<int, Process>& all, int pid, int ancestor) {
  for (size_t steps = 0; steps <= all.size(); ++steps) {
    if (pid == ancestor) return true;
    const auto it = all.find(pid);
    if (it == all.end()) return false;
    pid = it->second.parent;
  }
  return false;
}

double share(double part, double all) {
  return all > 0 ? std::clamp(part / all, 0.0, 1.0) : 0;
}

}  // namespace

namespace internal {

ProcessorUse parse_machine(std::string_view text) {
  ProcessorUse use;
  std::istringstream words{std::string(text.substr(0, text.find('\n')))};
  std::string name;
  if (!(words >> name) || name != "cpu") return use;
  double value = 0;
  // user nice system idle iowait irq softirq steal
  for (int i = 0; i < 8 && words >> value; ++i) {
    use.all += value;
    if (i != 3 && i != 4) use.used += value;
  }
  return use;
}

bool parse_process(std::string_view text, int* parent, double* ticks) {
  const size_t end = text.rfind(')');
  if (end == std::string_view::npos) return false;
  std::istringstream words{std::string(text.substr(end + 1))};
  std::string state, skipped;
  if (!(words >> state >> *parent)) return false;
  for (int i = 0; i < 9; ++i) words >> skipped;  // up to cmajflt
  *ticks = 0;
  for (int i = 0; i < 4; ++i) {  // utime stime cutime cstime
    double value = 0;
    if (!(words >> value)) return false;
    *ticks += value;
  }
  return true;
}

}  // namespace internal

ProcessorUse processor_use() {
  const auto text = read_file("/proc/stat", kMostBytes);
  if (!text) return {};
  ProcessorUse use = internal::parse_machine(*text);
  const auto all = processes();
  for (const auto& [pid, process] : all)
    if (descends(all, pid, ::getpid())) use.ours += process.ticks;
  return use;
}

double used_share(const ProcessorUse& before, const ProcessorUse& after) {
  return share(after.used - before.used, after.all - before.all);
}

double others_share(const ProcessorUse& before, const ProcessorUse& after) {
  return share((after.used - before.used) - (after.ours - before.ours), after.all - before.all);
}

}  // namespace kernelwright::base

// SPDX-License-Identifier: Apache-2.0
#include "referee/fault_report.h"

#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>

namespace kernelwright::referee {
namespace {

struct Known {
  uintptr_t begin = 0;
  size_t bytes = 0;
  char label[64] = {};
};
// Plain storage: a signal handler may neither allocate nor lock.
std::array<Known, 512> g_known;
int g_channel = -1;
alignas(64) char g_stack[32 << 10];

constexpr uintptr_t kNear = 64 << 10;

// The first fault is reported. Threads that fault meanwhile wait for the process to end (without a
// system call, which the filter may forbid): by the default action they would end it before the
// report is out.
std::atomic_flag g_reporting = ATOMIC_FLAG_INIT;

void on_fault(int, siginfo_t* info, void* context) {
  if (g_reporting.test_and_set())
    while (g_reporting.test()) {
    }
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  bool writes = false;
#if defined(__x86_64__)
  writes = (static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#endif
  const Known* nearest = nullptr;
  uintptr_t distance = kNear;
  for (const Known& known : g_known) {
    if (known.begin == 0) continue;
    const uintptr_t end = known.begin + known.bytes;
    const uintptr_t away = address < known.begin ? known.begin - address
                           : address >= end      ? address - end + 1
                                                 : 0;
    if (away < distance) {
      distance = away;
      nearest = &known;
    }
  }
  char where[160];
  const char* verb = writes ? "write" : "read";
  if (!nearest && address < kNear) {
    snprintf(where, sizeof where, "%s through a null pointer (address %#llx)", verb,
             static_cast<unsigned long long>(address));
  } else if (!nearest) {
    snprintf(where, sizeof where, "%s at address %#llx", verb,
             static_cast<unsigned long long>(address));
  } else if (distance == 0) {
    snprintf(where, sizeof where, "%s of %s, which is read-only", verb, nearest->label);
  } else if (address < nearest->begin) {
    snprintf(where, sizeof where, "%s %llu bytes before the start of %s", verb,
             static_cast<unsigned long long>(distance), nearest->label);
  } else {
    snprintf(where, sizeof where, "%s %llu bytes past the end of %s", verb,
             static_cast<unsigned long long>(distance), nearest->label);
  }
  // Framing of base/channel.h: length, count of descriptors, text. Labels hold no quotes.
  char message[256];
  const int length = snprintf(message + 8, sizeof message - 8, "{\"fault\":\"%s\"}", where);
  const uint32_t header[2] = {static_cast<uint32_t>(length), 0};
  std::memcpy(message, header, 8);
  const bool said = write(g_channel, message, static_cast<size_t>(length) + 8) >= 0;
  (void)said;
  // The instruction faults again, and ends the process.
  signal(SIGSEGV, SIG_DFL);
  signal(SIGBUS, SIG_DFL);
}

}  // namespace

void report_faults(int channel_fd) {
  g_channel = channel_fd;
  stack_t stack{};
  stack.ss_sp = g_stack;
  stack.ss_size = sizeof g_stack;
  sigaltstack(&stack, nullptr);
  struct sigaction action{};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
}

void know_tensor(const std::byte* begin, size_t bytes, const std::string& label) {
  auto free = std::find_if(g_known.begin(), g_known.end(),
                           [](const Known& known) { return known.begin == 0; });
  if (free == g_known.end()) return;
  free->bytes = bytes;
  snprintf(free->label, sizeof free->label, "%s", label.c_str());
  std::replace_if(
      free->label, free->label + std::strlen(free->label),
      [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 32; }, '_');
  free->begin = reinterpret_cast<uintptr_t>(begin);
}

void forget_tensor(const std::byte* begin) {
  for (Known& known : g_known) {
    if (known.begin == reinterpret_cast<uintptr_t>(begin)) known = Known();
  }
}

}  // namespace kernelwright::referee

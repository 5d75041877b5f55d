// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <mutex>

namespace kernelwright::base {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPlainInterval = std::chrono::seconds(2);

struct State {
  std::mutex mutex;
  LogLevel level = LogLevel::kNormal;
  bool terminal = ::isatty(STDERR_FILENO) == 1;
  bool line_shown = false;  // a progress line stands on the terminal
  std::string phase;
  Clock::time_point last_plain{};
  std::mutex watch_mutex;
  ProgressWatch::Told watch;
};

State& state() {
  static State* instance = new State;  // never destroyed: others may log while the program ends
  return *instance;
}

void clear_line(State& s) {
  if (s.line_shown) std::fputs("\r\x1b[K", stderr);
  s.line_shown = false;
}

void print(std::string_view prefix, std::string_view line, bool shown) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  if (!shown) return;
  clear_line(s);
  fmt::print(stderr, "{}{}\n", prefix, line);
  std::fflush(stderr);
}

size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 8) return size.ws_col;
  return 80;
}

}  // namespace

void set_log_level(LogLevel level) {
  state().level = level;
}

void note(std::string_view line) {
  print("", line, state().level != LogLevel::kQuiet);
}
void warn(std::string_view line) {
  print("warning: ", line, true);
}
void debug(std::string_view line) {
  print("debug: ", line, state().level == LogLevel::kVerbose);
}

ProgressWatch::ProgressWatch(Told told) {
  std::lock_guard lock(state().watch_mutex);
  state().watch = std::move(told);
}

ProgressWatch::~ProgressWatch() {
  std::lock_guard lock(state().watch_mutex);
  state().watch = nullptr;
}

void progress(std::string_view phase, std::string_view text) {
  State& s = state();
  {
    std::lock_guard watching(s.watch_mutex);
    if (s.watch) s.watch(phase, text);
  }
  std::lock_guard lock(s.mutex);
  if (s.level == LogLevel::kQuiet) return;
  std::string line = fmt::format("{}: {}", phase, text);
  if (s.terminal) {
    if (line.size() >= terminal_width()) line.resize(terminal_width() - 1);
    fmt::print(stderr, "\r\x1b[K{}", line);
    s.line_shown = true;
  } else {
    const auto now = Clock::now();
    if (s.phase == phase && now - s.last_plain < kPlainInterval) return;
    s.last_plain = now;
    fmt::print(stderr, "{}\n", line);
  }
  s.phase = phase;
  std::fflush(stderr);
}

void end_progress() {
  State& s = state();
  std::lock_guard lock(s.mutex);
  clear_line(s);
  s.phase.clear();
  std::fflush(stderr);
}

}  // namespace kernelwright::base

// SPDX-License-Identifier: Apache-2.0
#include "search/budget.h"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace kernelwright::search {
namespace {

constexpr double kLongest = 7 * 24 * 3600.0;
volatile sig_atomic_t g_interrupts = 0;

void on_signal(int) {
  g_interrupts = g_interrupts + 1;
  if (g_interrupts > 1) _exit(130);
}

double unit_seconds(char unit) { return unit == 'h' ? 3600 : unit == 'm' ? 60 : unit == 's' ? 1 : 0; }

}  // namespace

Result<double> parse_duration(const std::string& text) {
  const auto refuse = [&] {
    return fail(ErrorKind::kUsage,
                fmt::format("'{}' is no duration: write 90s, 2m or 1h30m", text.substr(0, 40)));
  };
  double total = 0;
  size_t at = 0;
  if (text.empty()) return refuse();
  while (at < text.size()) {
    const size_t start = at;
    while (at < text.size() && (std::isdigit(static_cast<unsigned char>(text[at])) || text[at] == '.')) ++at;
    if (at == start || at - start > 9) return refuse();
    double number = 0;
    try {
      size_t used = 0;
      number = std::stod(text.substr(start, at - start), &used);
      if (used != at - start) return refuse();
    } catch (const std::exception&) {
      return refuse();
    }
    // A bare number is in seconds, and only as the whole text.
    const double unit = at == text.size() ? (start == 0 ? 1 : 0) : unit_seconds(text[at]);
    if (unit == 0) return refuse();
    if (at < text.size()) ++at;
    total += number * unit;
  }
  if (!(total > 0) || total > kLongest) return refuse();
  return total;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(0.0, std::round(seconds)));
  if (whole >= 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}s", whole);
}

Budget::Budget(double seconds) : seconds_(seconds), start_(std::chrono::steady_clock::now()) {}
double Budget::elapsed() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}
double Budget::left() const { return interrupted() ? 0 : seconds_ - elapsed(); }

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return g_interrupts > 0; }

}  // namespace kernelwright::search

// SPDX-License-Identifier: Apache-2.0
#include "search/budget.h"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kernelwright::search {
namespace {

volatile sig_atomic_t g_interrupts = 0;

void on_signal(int) {
  g_interrupts = g_interrupts + 1;
  if (g_interrupts > 1) _exit(130);
}

}  // namespace

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
double Budget::left() const {
  return interrupted() ? 0 : seconds_ - elapsed();
}

SharedBudget::SharedBudget(double seconds, std::vector<double> weights)
    : left_(seconds), weights_(std::move(weights)) {}

double SharedBudget::next() {
  const auto rest = weights_.begin() + static_cast<std::ptrdiff_t>(at_);
  const double total = std::accumulate(rest, weights_.end(), 0.0);
  const double weight = weights_.at(at_++);
  return total > 0 ? left_ * weight / total : left_;
}

void SharedBudget::spent(double seconds) {
  left_ = std::max(0.0, left_ - seconds);
}

void install_interrupt_handler() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() {
  return g_interrupts > 0;
}

}  // namespace kernelwright::search

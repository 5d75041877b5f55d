// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

namespace kernelwright::search {

std::string duration_text(double seconds);  // "1m40s"

// Wall time that a search may spend. Starts when made; set-up and baselines come before.
class Budget {
 public:
  explicit Budget(double seconds);
  double seconds() const { return seconds_; }
  double elapsed() const;
  double left() const;
  bool spent() const { return left() <= 0; }

 private:
  double seconds_;
  std::chrono::steady_clock::time_point start_;
};

// Ctrl-C and SIGTERM end a search early: the first asks it to stop, write the best so far and exit
// 130; a second ends the process at once.
void install_interrupt_handler();
bool interrupted();

}  // namespace kernelwright::search

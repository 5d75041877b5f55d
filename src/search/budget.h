// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

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

// One budget for searches that come one after another. Each gets its share, by weight, of what
// those before it have left, so that what one does not need goes to the rest.
class SharedBudget {
 public:
  SharedBudget(double seconds, std::vector<double> weights);
  // What the next search may take, in seconds.
  double next();
  // What it took.
  void spent(double seconds);

 private:
  double left_;
  std::vector<double> weights_;
  size_t at_ = 0;
};

// Ctrl-C and SIGTERM end a search early: the first asks it to stop, write the best so far and exit
// 130; a second ends the process at once.
void install_interrupt_handler();
bool interrupted();

}  // namespace kernelwright::search
